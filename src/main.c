// SPDX-License-Identifier: Apache-2.0
// The table of subcommands.
#include "cmd/cmd.h"
int main(int argc, char **argv) { return fct_cmd_config(argc, argv); }
