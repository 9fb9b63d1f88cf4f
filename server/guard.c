/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server/guard.h"

#include "capture/error.h"

#include <spice/enums.h>
#include <spice/protocol.h>
#include <string.h>

/* What libspice-server accepts (reds_handle_read_link_done, 0.15). */
#define MAX_CAPS 1024

/* The ticket is encrypted with the key of SPICE_TICKET_KEY_PAIR_LENGTH bits. */
#define TICKET_SIZE (SPICE_TICKET_KEY_PAIR_LENGTH / 8)

/* VD_AGENT_MAX_DATA_SIZE: longer messages to the agent come in pieces. */
#define MAX_AGENT_DATA 2048

/* spice-gtk sends a key's press and release in one message of at most 8 bytes; more is a burst of
 * somebody's macro. */
#define MAX_SCANCODES 64

#define MAX_CODECS 16

G_STATIC_ASSERT(sizeof(SpiceLinkHeader) == 16);
G_STATIC_ASSERT(sizeof(SpiceMiniDataHeader) == 6 && sizeof(SpiceDataHeader) == 18);

typedef enum {
    STATE_LINK_HEADER,
    STATE_LINK_MESSAGE,
    STATE_AUTH_MECHANISM,
    STATE_TICKET,
    STATE_HEADER,
    STATE_BODY,
    STATE_SASL, /* and whatever comes after it */
} State;

/* What must hold before a message may come. */
typedef enum {
    ALWAYS,
    ONCE,         /* this message was not there yet */
    AGENT_STARTED /* SPICE_MSGC_MAIN_AGENT_START was there */
} When;

typedef struct {
    int channel; /* SPICE_CHANNEL_*, or ANY_CHANNEL */
    guint16 type;
    guint16 min, max; /* size of the body (spice.proto) */
    When when;
} Rule;

#define ANY_CHANNEL 0

static const Rule rules[] = {
    { ANY_CHANNEL, SPICE_MSGC_ACK_SYNC, 4, 4, ALWAYS },
    { ANY_CHANNEL, SPICE_MSGC_ACK, 0, 0, ALWAYS },
    { ANY_CHANNEL, SPICE_MSGC_PONG, 12, 12, ALWAYS },
    { ANY_CHANNEL, SPICE_MSGC_DISCONNECTING, 12, 12, ALWAYS },
    { SPICE_CHANNEL_MAIN, SPICE_MSGC_MAIN_ATTACH_CHANNELS, 0, 0, ONCE },
    { SPICE_CHANNEL_MAIN, SPICE_MSGC_MAIN_MOUSE_MODE_REQUEST, 2, 2, ALWAYS },
    /* For an agent that is there from before the client to after it, or never. */
    { SPICE_CHANNEL_MAIN, SPICE_MSGC_MAIN_AGENT_START, 4, 4, ALWAYS },
    { SPICE_CHANNEL_MAIN, SPICE_MSGC_MAIN_AGENT_DATA, 1, MAX_AGENT_DATA, AGENT_STARTED },
    { SPICE_CHANNEL_MAIN, SPICE_MSGC_MAIN_AGENT_TOKEN, 4, 4, AGENT_STARTED },
    { SPICE_CHANNEL_DISPLAY, SPICE_MSGC_DISPLAY_INIT, 14, 14, ONCE },
    { SPICE_CHANNEL_DISPLAY, SPICE_MSGC_DISPLAY_STREAM_REPORT, 32, 32, ALWAYS },
    { SPICE_CHANNEL_DISPLAY, SPICE_MSGC_DISPLAY_PREFERRED_COMPRESSION, 1, 1, ALWAYS },
    { SPICE_CHANNEL_DISPLAY, SPICE_MSGC_DISPLAY_PREFERRED_VIDEO_CODEC_TYPE, 1, 1 + MAX_CODECS,
      ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_KEY_DOWN, 4, 4, ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_KEY_UP, 4, 4, ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_KEY_MODIFIERS, 2, 2, ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_KEY_SCANCODE, 1, MAX_SCANCODES, ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_MOUSE_MOTION, 10, 10, ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_MOUSE_POSITION, 11, 11, ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_MOUSE_PRESS, 3, 3, ALWAYS },
    { SPICE_CHANNEL_INPUTS, SPICE_MSGC_INPUTS_MOUSE_RELEASE, 3, 3, ALWAYS },
};

struct ScGuard {
    State state;
    guint8 piece[SC_GUARD_MAX_LINK]; /* what is being collected, */
    gsize size, wanted;              /* how much of it is there, and how much shall be */
    gsize skip;                      /* bytes of a ticket or body still to come */

    gboolean sasl;
    gboolean is_linked;
    guint32 connection_id;
    int channel;
    gboolean has_auth_selection, has_mini_header;
    gboolean seen[G_N_ELEMENTS(rules)];
    gboolean agent_started;
};

static const char *get_channel_name(int channel)
{
    switch (channel) {
    case SPICE_CHANNEL_MAIN:
        return "main";
    case SPICE_CHANNEL_DISPLAY:
        return "display";
    case SPICE_CHANNEL_INPUTS:
        return "inputs";
    case SPICE_CHANNEL_CURSOR:
        return "cursor";
    }
    return NULL;
}

static gboolean refuse(GError **error, const char *reason)
{
    g_set_error_literal(error, SC_ERROR, SC_ERROR_INVALID, reason);
    return FALSE;
}

static void collect(ScGuard *guard, State state, gsize wanted)
{
    guard->state = state;
    guard->size = 0;
    guard->wanted = wanted;
}

static void collect_header(ScGuard *guard)
{
    collect(guard, STATE_HEADER,
            guard->has_mini_header ? sizeof(SpiceMiniDataHeader) : sizeof(SpiceDataHeader));
}

static void skip(ScGuard *guard, State state, gsize size)
{
    guard->state = state;
    guard->skip = size;
}

/* Seen with the first byte that is wrong: who speaks another protocol may be waiting for us. */
static gboolean check_magic(const ScGuard *guard, GError **error)
{
    const guint32 magic = SPICE_MAGIC;

    if (memcmp(guard->piece, &magic, MIN(guard->size, sizeof magic)) != 0) {
        return refuse(error, "no SPICE link header");
    }
    return TRUE;
}

static gboolean take_link_header(ScGuard *guard, GError **error)
{
    SpiceLinkHeader header;
    guint32 size;

    memcpy(&header, guard->piece, sizeof header);
    size = GUINT32_FROM_LE(header.size);
    if (GUINT32_FROM_LE(header.major_version) != SPICE_VERSION_MAJOR) {
        return refuse(error, "a link header of another version of SPICE");
    }
    if (size < sizeof(SpiceLinkMess) || size > SC_GUARD_MAX_LINK - sizeof header) {
        return refuse(error, "a link message of a wrong size");
    }
    collect(guard, STATE_LINK_MESSAGE, size);
    return TRUE;
}

/* As libspice-server reads the first words of capabilities. */
static gboolean has_common_capability(const SpiceLinkMess *message, const guint8 *piece, guint bit)
{
    guint32 word;

    if (GUINT32_FROM_LE(message->num_common_caps) == 0) {
        return FALSE;
    }
    memcpy(&word, piece + GUINT32_FROM_LE(message->caps_offset), sizeof word);
    return (GUINT32_FROM_LE(word) & (1u << bit)) != 0;
}

static gboolean take_link_message(ScGuard *guard, GError **error)
{
    SpiceLinkMess message;
    guint32 n_common, n_channel, offset;

    memcpy(&message, guard->piece, sizeof message);
    n_common = GUINT32_FROM_LE(message.num_common_caps);
    n_channel = GUINT32_FROM_LE(message.num_channel_caps);
    offset = GUINT32_FROM_LE(message.caps_offset);
    if (n_common > MAX_CAPS || n_channel > MAX_CAPS ||
        (n_common + n_channel > 0 &&
         (offset < sizeof message || offset > guard->size ||
          guard->size - offset < (n_common + n_channel) * sizeof(guint32)))) {
        return refuse(error, "a link message with impossible capabilities");
    }
    guard->connection_id = GUINT32_FROM_LE(message.connection_id);
    guard->channel = message.channel_type;
    if (get_channel_name(guard->channel) == NULL) {
        return refuse(error, "a channel that is not offered");
    }
    /* Anything else is a migration, with which libspice-server trusts its clients. */
    if ((guard->connection_id == 0) != (guard->channel == SPICE_CHANNEL_MAIN)) {
        return refuse(error, "a main channel for an old client, or another one for a new client");
    }
    guard->has_auth_selection =
        has_common_capability(&message, guard->piece, SPICE_COMMON_CAP_PROTOCOL_AUTH_SELECTION);
    /* The server always offers it. */
    guard->has_mini_header =
        has_common_capability(&message, guard->piece, SPICE_COMMON_CAP_MINI_HEADER);
    guard->is_linked = TRUE;
    if (guard->sasl && !guard->has_auth_selection) {
        return refuse(error, "a client that cannot authenticate by SASL");
    }
    if (guard->has_auth_selection) {
        collect(guard, STATE_AUTH_MECHANISM, sizeof(SpiceLinkAuthMechanism));
    } else {
        skip(guard, STATE_TICKET, TICKET_SIZE);
    }
    return TRUE;
}

static gboolean take_auth_mechanism(ScGuard *guard, GError **error)
{
    SpiceLinkAuthMechanism mechanism;

    memcpy(&mechanism, guard->piece, sizeof mechanism);
    /* libspice-server would do SASL whether it was switched on or not. */
    if (GUINT32_FROM_LE(mechanism.auth_mechanism) !=
        (guard->sasl ? SPICE_COMMON_CAP_AUTH_SASL : SPICE_COMMON_CAP_AUTH_SPICE)) {
        return refuse(error, "a way to authenticate that is not offered");
    }
    skip(guard, guard->sasl ? STATE_SASL : STATE_TICKET, TICKET_SIZE);
    return TRUE;
}

static gboolean may_come(const ScGuard *guard, guint rule)
{
    switch (rules[rule].when) {
    case ALWAYS:
        return TRUE;
    case ONCE:
        return !guard->seen[rule];
    case AGENT_STARTED:
        return guard->agent_started;
    }
    g_return_val_if_reached(FALSE);
}

static gboolean take_message(ScGuard *guard, guint type, guint32 size, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(rules); i++) {
        const Rule *rule = &rules[i];

        if ((rule->channel == guard->channel || rule->channel == ANY_CHANNEL) &&
            rule->type == type && size >= rule->min && size <= rule->max && may_come(guard, i)) {
            guard->seen[i] = TRUE;
            guard->agent_started |=
                rule->channel == SPICE_CHANNEL_MAIN && rule->type == SPICE_MSGC_MAIN_AGENT_START;
            skip(guard, STATE_BODY, size);
            return TRUE;
        }
    }
    g_set_error(error, SC_ERROR, SC_ERROR_INVALID,
                "message %u of %u bytes is not allowed here on the %s channel", type, size,
                get_channel_name(guard->channel));
    return FALSE;
}

static gboolean take_header(ScGuard *guard, GError **error)
{
    SpiceMiniDataHeader mini;
    SpiceDataHeader full;

    if (guard->has_mini_header) {
        memcpy(&mini, guard->piece, sizeof mini);
        return take_message(guard, GUINT16_FROM_LE(mini.type), GUINT32_FROM_LE(mini.size), error);
    }
    memcpy(&full, guard->piece, sizeof full);
    if (full.sub_list != 0) {
        return refuse(error, "a list of sub-messages is not allowed");
    }
    return take_message(guard, GUINT16_FROM_LE(full.type), GUINT32_FROM_LE(full.size), error);
}

/* What was collected is complete. */
static gboolean take_piece(ScGuard *guard, GError **error)
{
    switch (guard->state) {
    case STATE_LINK_HEADER:
        return take_link_header(guard, error);
    case STATE_LINK_MESSAGE:
        return take_link_message(guard, error);
    case STATE_AUTH_MECHANISM:
        return take_auth_mechanism(guard, error);
    case STATE_HEADER:
        return take_header(guard, error);
    case STATE_TICKET:
    case STATE_BODY:
    case STATE_SASL:
        break;
    }
    g_return_val_if_reached(FALSE);
}

ScGuard *sc_guard_new(gboolean sasl)
{
    ScGuard *guard = g_new0(ScGuard, 1);

    guard->sasl = sasl;
    collect(guard, STATE_LINK_HEADER, sizeof(SpiceLinkHeader));
    return guard;
}

void sc_guard_free(ScGuard *guard)
{
    g_free(guard);
}

gboolean sc_guard_check(ScGuard *guard, const guint8 *bytes, gsize size, GError **error)
{
    const guint8 *end = bytes + size;

    while (bytes < end && guard->state != STATE_SASL) {
        gsize there = end - bytes;
        gsize used;

        if (guard->state == STATE_TICKET || guard->state == STATE_BODY) {
            used = MIN(there, guard->skip);
            guard->skip -= used;
            if (guard->skip == 0) {
                collect_header(guard);
            }
        } else {
            used = MIN(there, guard->wanted - guard->size);
            memcpy(guard->piece + guard->size, bytes, used);
            guard->size += used;
            if (guard->state == STATE_LINK_HEADER && !check_magic(guard, error)) {
                return FALSE;
            }
            if (guard->size == guard->wanted && !take_piece(guard, error)) {
                return FALSE;
            }
        }
        bytes += used;
    }
    return TRUE;
}

gboolean sc_guard_get_link(const ScGuard *guard, guint32 *connection_id)
{
    if (guard->is_linked) {
        *connection_id = guard->connection_id;
    }
    return guard->is_linked;
}

gboolean sc_guard_has_mini_header(const ScGuard *guard)
{
    return guard->has_mini_header;
}
