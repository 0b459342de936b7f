// SPDX-License-Identifier: Apache-2.0
// facet config: shows options, checks configuration files.
#include <stdio.h>

#include "cmd.h"
#include "facet/options.h"

static fct_status show_file(const char *file, int n, char *const *argument)
{
    fct_options *options;
    fct_text text = { 0 };
    FCT_TRY(fct_options_load(file, argument, n, &options));
    fct_options_print(options, &text);
    fct_status status = text.failed ? FCT_FAIL_NOMEM(text.size, "the printed options") : FCT_OK;
    if (status == FCT_OK)
        printf("%s", text.data);
    fct_text_release(&text);
    fct_options_destroy(options);
    return status;
}

static fct_status show_help(const char *key, int markdown)
{
    fct_text text = { 0 };
    fct_status status = fct_options_help(key, markdown, &text);
    if (status == FCT_OK && text.failed)
        status = FCT_FAIL_NOMEM(text.size, "the options' description");
    if (status == FCT_OK)
        printf("%s", text.data);
    fct_text_release(&text);
    return status;
}

int fct_cmd_config(int argc, char **argv)
{
    const char *check = NULL;
    int markdown = 0, n, done;
    const fct_arg args[] = {
        { "--check", FCT_ARG_STR, &check, "FILE", 0, 0,
          "read this configuration and the key=value arguments, print every option in force" },
        { "--markdown", FCT_ARG_FLAG, &markdown, NULL, 0, 0, "as docs/options.md is written" },
    };
    const fct_arg_table table = {
        .usage = "facet config [SECTION | KEY]   or   facet config --check FILE [key=value ...]",
        .about = "Describes every option, those of a section, or one.",
        .arg = args,
        .n = sizeof args / sizeof *args,
        .min_positional = 0,
        .max_positional = -1,
    };
    fct_status status = fct_args_parse(&table, argc, argv, &n, &done);
    if (status != FCT_OK || done)
        return fct_cmd_exit(status);
    if (check)
        return fct_cmd_exit(show_file(check, n, argv + 1));
    if (n > 1)
        return fct_cmd_exit(
            FCT_FAIL(FCT_E_ARG, "%.100s: one argument too many\nusage: %s", argv[2], table.usage));
    return fct_cmd_exit(show_help(n == 1 ? argv[1] : NULL, markdown));
}
