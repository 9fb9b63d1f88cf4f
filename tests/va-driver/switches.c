/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/switches.h"

#include "tests/va-driver/error.h"
#include <drm_fourcc.h>
#include <string.h>
#include <va/va.h>
#include <va/va_drmcommon.h>

typedef struct {
    const char *name;
    guint bit;
} Word;

typedef gboolean (*Parser)(const char *value, const Word *words, gpointer member);

typedef struct {
    const char *variable;
    Parser parse;
    const Word *words; /* for parse_words() */
    gsize offset;      /* of the member in ScVaSwitches */
} Switch;

static gboolean parse_string(const char *value, const Word *words, gpointer member)
{
    *(char **)member = g_strdup(value);
    return TRUE;
}

static gboolean parse_names(const char *value, const Word *words, gpointer member)
{
    g_strfreev(*(char ***)member);
    *(char ***)member = g_strsplit(value, ",", -1);
    return TRUE;
}

/* "word,word" to the sum of their bits; the empty string is 0. */
static gboolean parse_words(const char *value, const Word *words, gpointer member)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    guint bits = 0;
    for (guint i = 0; parts[i]; i++) {
        const Word *word = words;
        while (word->name && strcmp(word->name, parts[i]) != 0)
            word++;
        if (!word->name)
            return FALSE;
        bits |= word->bit;
    }
    *(guint *)member = bits;
    return TRUE;
}

static gboolean parse_number(const char *value, const Word *words, gpointer member)
{
    guint64 number;
    if (!g_ascii_string_to_unsigned(value, 10, 0, G_MAXUINT, &number, NULL))
        return FALSE;
    *(guint *)member = number;
    return TRUE;
}

static gboolean parse_alignment(const char *value, const Word *words, gpointer member)
{
    return parse_number(value, words, member) && *(guint *)member > 0;
}

/* "WxH" to two guints, the second next to the first. */
static gboolean parse_size(const char *value, const Word *words, gpointer member)
{
    g_auto(GStrv) parts = g_strsplit(value, "x", -1);
    guint *size = member;
    return g_strv_length(parts) == 2 && parse_number(parts[0], NULL, &size[0]) &&
           parse_number(parts[1], NULL, &size[1]);
}

/* "N", "N-M" or "N-" */
static gboolean parse_range(const char *value, const Word *words, gpointer member)
{
    g_auto(GStrv) parts = g_strsplit(value, "-", -1);
    guint n_parts = g_strv_length(parts);
    ScVaRange *range = member;
    if (n_parts < 1 || n_parts > 2 || !parse_number(parts[0], NULL, &range->first))
        return FALSE;
    range->last = n_parts == 1 ? range->first : G_MAXUINT;
    return n_parts == 1 || !*parts[1] || parse_number(parts[1], NULL, &range->last);
}

static gboolean parse_modifiers(const char *value, const Word *words, gpointer member)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    GArray *modifiers = *(GArray **)member;
    g_array_set_size(modifiers, 0);
    for (guint i = 0; parts[i]; i++) {
        char *end;
        guint64 modifier = g_ascii_strtoull(parts[i], &end, 0);
        if (strcmp(parts[i], "linear") == 0)
            modifier = DRM_FORMAT_MOD_LINEAR;
        else if (strcmp(parts[i], "implicit") == 0)
            modifier = DRM_FORMAT_MOD_INVALID;
        else if (end == parts[i] || *end)
            return FALSE;
        g_array_append_val(modifiers, modifier);
    }
    return modifiers->len > 0;
}

static const Word entry_point_words[] = {
    { "slice", SC_VA_ENTRY_SLICE },
    { "lp", SC_VA_ENTRY_LP },
    { "vpp", SC_VA_ENTRY_VPP },
    { NULL, 0 },
};

static const Word rate_control_words[] = {
    { "cqp", VA_RC_CQP },
    { "cbr", VA_RC_CBR },
    { "vbr", VA_RC_VBR },
    { NULL, 0 },
};

static const Word memory_type_words[] = {
    { "prime", VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME },
    { "prime2", VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2 },
    { NULL, 0 },
};

#define MEMBER(member) G_STRUCT_OFFSET(ScVaSwitches, member)

static const Switch table[] = {
    { "SCANCAST_VA_TRACE", parse_string, NULL, MEMBER(trace) },
    { "SCANCAST_VA_ENTRY_POINTS", parse_words, entry_point_words, MEMBER(entry_points) },
    { "SCANCAST_VA_RATE_CONTROL", parse_words, rate_control_words, MEMBER(rate_control) },
    { "SCANCAST_VA_MEMORY_TYPES", parse_words, memory_type_words, MEMBER(memory_types) },
    { "SCANCAST_VA_MAX_SIZE", parse_size, NULL, MEMBER(max_width) },
    { "SCANCAST_VA_MODIFIERS", parse_modifiers, NULL, MEMBER(modifiers) },
    { "SCANCAST_VA_REFUSE_FORMATS", parse_names, NULL, MEMBER(refused_formats) },
    { "SCANCAST_VA_PITCH_ALIGN", parse_alignment, NULL, MEMBER(pitch_alignment) },
    { "SCANCAST_VA_HEIGHT_ALIGN", parse_alignment, NULL, MEMBER(height_alignment) },
    { "SCANCAST_VA_REFUSE_IMPORTS", parse_range, NULL, MEMBER(refused_imports) },
    { "SCANCAST_VA_VPP_MS", parse_number, NULL, MEMBER(vpp_ms) },
    { "SCANCAST_VA_ENCODE_MS", parse_number, NULL, MEMBER(encode_ms) },
    { "SCANCAST_VA_SLOW_EVERY", parse_number, NULL, MEMBER(slow_every) },
    { "SCANCAST_VA_HOLD_MS", parse_number, NULL, MEMBER(hold_ms) },
    { "SCANCAST_VA_FAIL_ENCODES", parse_range, NULL, MEMBER(failed_encodes) },
    { "SCANCAST_VA_LOST_AT", parse_range, NULL, MEMBER(lost_encodes) },
    { "SCANCAST_VA_HANG_AT", parse_range, NULL, MEMBER(hung_encodes) },
};

static const ScVaRange nothing = { 1, 0 };

static ScVaSwitches *new_with_defaults(void)
{
    static const guint64 modifiers[] = { DRM_FORMAT_MOD_LINEAR, DRM_FORMAT_MOD_INVALID };

    ScVaSwitches *switches = g_new0(ScVaSwitches, 1);
    switches->entry_points = SC_VA_ENTRY_SLICE | SC_VA_ENTRY_VPP;
    switches->rate_control = VA_RC_CQP | VA_RC_CBR | VA_RC_VBR;
    switches->memory_types =
        VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME | VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2;
    switches->max_width = switches->max_height = 4096; /* as most H.264 encoders in hardware */
    switches->modifiers = g_array_new(FALSE, FALSE, sizeof(guint64));
    g_array_append_vals(switches->modifiers, modifiers, G_N_ELEMENTS(modifiers));
    switches->refused_formats = g_new0(char *, 1);
    switches->pitch_alignment = switches->height_alignment = 1;
    switches->refused_imports = nothing;
    switches->failed_encodes = switches->lost_encodes = switches->hung_encodes = nothing;
    return switches;
}

ScVaSwitches *sc_va_switches_new(GError **error)
{
    g_autoptr(ScVaSwitches) switches = new_with_defaults();
    for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
        const Switch *entry = &table[i];
        const char *value = g_getenv(entry->variable);
        if (value && !entry->parse(value, entry->words, G_STRUCT_MEMBER_P(switches, entry->offset)))
            return sc_va_error_null(error, VA_STATUS_ERROR_INVALID_PARAMETER,
                                    "%s=%s makes no sense, see the driver's README.md",
                                    entry->variable, value);
    }
    return g_steal_pointer(&switches);
}

void sc_va_switches_free(ScVaSwitches *switches)
{
    if (!switches)
        return;
    g_free(switches->trace);
    g_strfreev(switches->refused_formats);
    g_array_unref(switches->modifiers);
    g_free(switches);
}

gboolean sc_va_range_contains(const ScVaRange *range, guint number)
{
    return number >= range->first && number <= range->last;
}

gboolean sc_va_switches_accept_modifier(const ScVaSwitches *switches, guint64 modifier)
{
    for (guint i = 0; i < switches->modifiers->len; i++) {
        if (g_array_index(switches->modifiers, guint64, i) == modifier)
            return TRUE;
    }
    return FALSE;
}

gboolean sc_va_switches_accept_format(const ScVaSwitches *switches, const char *name)
{
    return !g_strv_contains((const char *const *)switches->refused_formats, name);
}
