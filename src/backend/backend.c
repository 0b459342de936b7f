typedef int fct_folder_is_new;
