// SPDX-License-Identifier: Apache-2.0
// Walks what libconfig parsed: sections, their settings, each put into its row.
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_source.h"
#include "option_table.h"
#include "options_file.h"

static const char *type_name(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a whole number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a fraction";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_GROUP:
        return "a group";
    default:
        return "an array";
    }
}

static int is_whole(const config_setting_t *setting)
{
    int type = config_setting_type(setting);
    return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

static int is_string(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_STRING;
}

static int fits(const fct_option *option, const config_setting_t *setting)
{
    int is_number = is_whole(setting) || config_setting_type(setting) == CONFIG_TYPE_FLOAT;
    switch (option->kind) {
    case FCT_OPTION_INT:
        return is_whole(setting);
    case FCT_OPTION_REAL:
        return is_number;
    case FCT_OPTION_BOOL:
        return config_setting_type(setting) == CONFIG_TYPE_BOOL;
    case FCT_OPTION_STR:
        return is_string(setting);
    case FCT_OPTION_LIST:
        return is_string(setting) || config_setting_is_aggregate(setting);
    case FCT_OPTION_TIME:
        return is_string(setting) || is_number;
    case FCT_OPTION_BYTES:
        return is_string(setting) || is_whole(setting);
    }
    return 0;
}

// A scalar as the command line would write it.
static const char *scalar_text(const config_setting_t *setting, char buffer[64])
{
    if (is_string(setting))
        return config_setting_get_string(setting);
    if (is_whole(setting))
        snprintf(buffer, 64, "%lld", config_setting_get_int64(setting));
    else if (config_setting_type(setting) == CONFIG_TYPE_FLOAT)
        snprintf(buffer, 64, "%.17g", config_setting_get_float(setting));
    else
        snprintf(buffer, 64, "%s", config_setting_get_bool(setting) ? "true" : "false");
    return buffer;
}

static fct_status set_array(fct_options *o, const fct_option *option,
                            const config_setting_t *setting, const char *where)
{
    int n = config_setting_length(setting);
    char **item = calloc((size_t)n + 1, sizeof *item), *numbers = malloc((size_t)n * 64 + 1);
    fct_status status = FCT_OK;
    if (!item || !numbers)
        FCT_TRY_GOTO(FCT_FAIL_NOMEM((size_t)n * 64, option->key), status, done);
    for (int i = 0; i < n; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        if (config_setting_is_aggregate(element))
            FCT_TRY_GOTO(FCT_FAIL(FCT_E_ARG, "%s: %s: item %d is %s, wants a string", where,
                                  option->key, i + 1, type_name(element)),
                         status, done);
        item[i] = (char *)(size_t)scalar_text(element, numbers + (size_t)i * 64);
    }
    status = fct_option_set_list(o, option, item, n, where);
done:
    free(numbers);
    free(item);
    return status;
}

static fct_status set_option(fct_options *o, const fct_option *option,
                             const config_setting_t *setting, const char *where)
{
    char buffer[64];
    if (config_setting_is_group(setting) || !fits(option, setting))
        return FCT_FAIL(FCT_E_ARG, "%s: %s: wants %s, not %s", where, option->key,
                        fct_option_wants(option), type_name(setting));
    if (config_setting_is_aggregate(setting))
        return set_array(o, option, setting, where);
    const char *text = scalar_text(setting, buffer);
    if (option->kind == FCT_OPTION_LIST)
        return fct_option_set_list(o, option, &(char *){ (char *)(size_t)text }, *text ? 1 : 0,
                                   where);
    return fct_option_set(o, option, text, where);
}

static fct_status set_section(fct_options *o, const fct_config_source *source,
                              const config_setting_t *section)
{
    const char *name = config_setting_name(section);
    char where[FCT_PATH_MAX], key[2 * FCT_CONFIG_MAX_WORD_BYTES + 2];
    fct_config_source_where(source, (int)config_setting_source_line(section), where);
    if (!fct_option_is_section(name))
        return fct_option_fail_unknown(where, name);
    if (!config_setting_is_group(section))
        return FCT_FAIL(FCT_E_ARG, "%s: %s: wants a group { ... }, not %s", where, name,
                        type_name(section));
    for (int i = 0; i < config_setting_length(section); i++) {
        const config_setting_t *setting = config_setting_get_elem(section, (unsigned)i);
        snprintf(key, sizeof key, "%s.%s", name, config_setting_name(setting));
        fct_config_source_where(source, (int)config_setting_source_line(setting), where);
        const fct_option *option = fct_option_find(key);
        if (!option)
            return fct_option_fail_unknown(where, key);
        FCT_TRY(set_option(o, option, setting, where));
    }
    return FCT_OK;
}

static fct_status set_all(fct_options *o, const fct_config_source *source)
{
    config_t config;
    config_init(&config);
    fct_status status = FCT_OK;
    if (!config_read_string(&config, source->text.data ? source->text.data : "")) {
        char where[FCT_PATH_MAX];
        fct_config_source_where(source, config_error_line(&config), where);
        FCT_TRY_GOTO(FCT_FAIL(FCT_E_ARG,
                              "%s: %s\na section looks like: data = { batch_size = 64; };", where,
                              config_error_text(&config)),
                     status, done);
    }
    const config_setting_t *root = config_root_setting(&config);
    for (int i = 0; i < config_setting_length(root) && status == FCT_OK; i++)
        status = set_section(o, source, config_setting_get_elem(root, (unsigned)i));
done:
    config_destroy(&config);
    return status;
}

fct_status fct_options_read_file(fct_options *o, const char *path)
{
    fct_config_source source;
    fct_status status = fct_config_source_read(path, &source);
    if (status == FCT_OK)
        status = set_all(o, &source);
    fct_config_source_release(&source);
    return status;
}

fct_status fct_options_read_text(fct_options *o, const char *text, const char *name)
{
    fct_config_source source;
    fct_status status = fct_config_source_from_text(text, name, &source);
    if (status == FCT_OK)
        status = set_all(o, &source);
    fct_config_source_release(&source);
    return status;
}
