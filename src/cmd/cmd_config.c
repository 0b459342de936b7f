#include "cmd.h"
int fct_cmd_config(int argc, char **argv) { (void)argc; (void)argv; return 0; }
