// SPDX-License-Identifier: Apache-2.0
typedef int fct_folder_is_new;
