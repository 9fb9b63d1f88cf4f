/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libva's ids stand for: reference counted objects in a table. An id holds one reference, each
 * job of the engine that works on the object another; so what the application destroys while it is
 * in use goes when the job ends, as on a GPU.
 *
 * Thread: any.
 */
#pragma once

#include <glib.h>
#include <va/va.h>

G_BEGIN_DECLS

typedef struct ScVaObjects ScVaObjects;

typedef enum {
    SC_VA_CONFIG,
    SC_VA_CONTEXT,
    SC_VA_SURFACE,
    SC_VA_BUFFER,
    SC_VA_IMAGE,
} ScVaObjectType;

/* The first member of every object. */
typedef struct {
    ScVaObjectType type;
    VAGenericID id; /* set by sc_va_objects_add() */
    gint references;
    void (*free)(gpointer object);
} ScVaObject;

ScVaObjects *sc_va_objects_new(void);

/* Drops the references of all ids left. */
void sc_va_objects_free(ScVaObjects *objects);

/* How many ids of @type there are. */
guint sc_va_objects_count(ScVaObjects *objects, ScVaObjectType type);

/* A zeroed object of @size bytes with one reference, the caller's. @free frees what is in it, not
 * itself. */
gpointer sc_va_object_new(gsize size, ScVaObjectType type, void (*free)(gpointer object));

gpointer sc_va_object_ref(gpointer object);
void sc_va_object_unref(gpointer object); /* NULL is ignored */

/* Takes the caller's reference and returns the id. */
VAGenericID sc_va_objects_add(ScVaObjects *objects, gpointer object);

/* A reference of the caller's, NULL if there is no such id or it is of another type. */
gpointer sc_va_objects_get(ScVaObjects *objects, VAGenericID id, ScVaObjectType type);

/* The id is gone; the caller gets its reference. NULL as above. */
gpointer sc_va_objects_remove(ScVaObjects *objects, VAGenericID id, ScVaObjectType type);

G_END_DECLS
