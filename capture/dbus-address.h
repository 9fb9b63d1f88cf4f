/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a VMM's D-Bus display is: what follows "dbus:" in a SOURCE.
 *
 *   ADDRESS[,name=NAME][#N]   a bus, as in "unix:path=/run/bus", and who is asked there (org.qemu)
 *   p2p:PATH[#N]              the QMP socket of a QEMU with -display dbus,p2p=yes
 *
 * N is the number of the console; without it the first graphic one is meant.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
    char *text;  /* without "#N": what names the VMM in messages */
    char *bus;   /* an address of GDBus; NULL: */
    char *qmp;   /* the path of a socket */
    char *name;  /* on the bus */
    int console; /* -1: the first graphic one */
} ScDbusAddress;

/* @text may be NULL. Fails with SC_ERROR_INVALID. */
ScDbusAddress *sc_dbus_address_parse(const char *text, GError **error);

void sc_dbus_address_free(ScDbusAddress *address); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScDbusAddress, sc_dbus_address_free)

G_END_DECLS
