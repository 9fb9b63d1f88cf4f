/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes sense of what a SPICE client's input comes as: bytes of a PC keyboard, messages to the
 * guest's agent, masks of buttons.
 *
 * Thread:  pure functions on the caller's memory.
 * Hostile: any byte may come. State is bounded, nothing is trusted.
 */
#pragma once

#include "capture/source.h"

G_BEGIN_DECLS

/* What is known of the key whose bytes are coming. Zero at first. */
typedef struct {
    guint8 prefix;  /* 0xe0 to 0xe2, 0 if none */
    guint8 pending; /* 0xe1: the byte after it, 0 if it has not come */
} ScScancodeState;

/*
 * Feeds one byte of PC AT set 1. TRUE if it ends a key: @scancode with 0x100 added after 0xe0, as
 * in capture/source.h. The Pause key of six bytes (e1 1d 45 e1 9d c5) becomes 0x146, which is what
 * it sends together with Ctrl and what SPICE clients and QEMU use for it.
 */
gboolean sc_scancode_feed(ScScancodeState *state, guint8 byte, guint *scancode, gboolean *pressed);

/* Buttons as SPICE_MOUSE_BUTTON_MASK_* in <spice/enums.h>, the wheel's among them. */
typedef guint32 ScButtonMask;

/* libspice-server gives mouse interfaces right and middle exchanged and the side buttons shifted
 * (RED_MOUSE_STATE_TO_LOCAL in inputs-channel.cpp). */
ScButtonMask sc_button_mask_from_mouse(guint32 state);

/* The state of the pointer as a guest's agent gets it. */
typedef struct {
    guint32 x, y;
    ScButtonMask buttons;
} ScAgentPointer;

/* What a guest's agent is told. */
typedef enum {
    SC_AGENT_NOTHING,
    SC_AGENT_POINTER,
    SC_AGENT_SIZE, /* the client's screen, or its window, is that large */
} ScAgentEventType;

typedef struct {
    ScAgentEventType type;
    ScAgentPointer pointer; /* SC_AGENT_POINTER */
    guint32 width, height;  /* SC_AGENT_SIZE: any number but 0 */
} ScAgentEvent;

/* As much of a message as we look at: VDAgentMessage, VDAgentMonitorsConfig and one
 * VDAgentMonConfig of <spice/vd_agent.h>. */
#define SC_AGENT_MESSAGE_SIZE 48

/* A message that is coming. */
typedef struct {
    guint8 bytes[SC_AGENT_MESSAGE_SIZE];
    guint size;   /* of what is in there */
    guint32 left; /* bytes still to come, once the header has */
} ScAgentMessage;

/* Where in the byte stream to the agent we are. Zero at first. */
typedef struct {
    guint8 header[8]; /* VDIChunkHeader */
    guint header_size;
    guint32 left;            /* bytes of the chunk still to come */
    ScAgentMessage *message; /* that the chunk is part of, NULL: of none that we know */
    ScAgentMessage from_server, from_client;
} ScAgentState;

/*
 * Feeds at most @size bytes and returns how many were used, at least 1. If these ended a message
 * of libspice-server's about the pointer, or of the client's about its monitors, of which the first
 * counts, @event tells; all other messages are passed over. @state must stay where it is.
 */
gsize sc_agent_feed(ScAgentState *state, const guint8 *bytes, gsize size, ScAgentEvent *event);

G_END_DECLS
