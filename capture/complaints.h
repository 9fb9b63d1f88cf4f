/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Warnings about what a VMM sends, once per reason: it may repeat its mistake with every frame.
 *
 * Thread: the owner thread.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct ScComplaints ScComplaints;

ScComplaints *sc_complaints_new(void);
void sc_complaints_free(ScComplaints *complaints); /* NULL is ignored */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScComplaints, sc_complaints_free)

/* Logs that @what ("a surface") is unusable because of @error, unless that was said before. After
 * 16 reasons nothing more is said. */
void sc_complaints_add(ScComplaints *complaints, const char *what, const GError *error);

G_END_DECLS
