/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/va-driver/object.h"

struct ScVaObjects {
    GMutex lock;
    GHashTable *table; /* id → object */
    VAGenericID last;
};

ScVaObjects *sc_va_objects_new(void)
{
    ScVaObjects *objects = g_new0(ScVaObjects, 1);
    g_mutex_init(&objects->lock);
    objects->table = g_hash_table_new_full(NULL, NULL, NULL, sc_va_object_unref);
    return objects;
}

void sc_va_objects_free(ScVaObjects *objects)
{
    g_hash_table_unref(objects->table);
    g_mutex_clear(&objects->lock);
    g_free(objects);
}

guint sc_va_objects_count(ScVaObjects *objects, ScVaObjectType type)
{
    GHashTableIter iter;
    gpointer value;
    guint count = 0;
    g_mutex_lock(&objects->lock);
    g_hash_table_iter_init(&iter, objects->table);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        count += ((ScVaObject *)value)->type == type;
    g_mutex_unlock(&objects->lock);
    return count;
}

gpointer sc_va_object_new(gsize size, ScVaObjectType type, void (*free)(gpointer object))
{
    ScVaObject *object = g_malloc0(size);
    object->type = type;
    object->references = 1;
    object->free = free;
    return object;
}

gpointer sc_va_object_ref(gpointer object)
{
    g_atomic_int_inc(&((ScVaObject *)object)->references);
    return object;
}

void sc_va_object_unref(gpointer object)
{
    ScVaObject *base = object;
    if (!base || !g_atomic_int_dec_and_test(&base->references))
        return;
    base->free(base);
    g_free(base);
}

VAGenericID sc_va_objects_add(ScVaObjects *objects, gpointer object)
{
    ScVaObject *base = object;
    g_mutex_lock(&objects->lock);
    /* 0 is taken for "none" by some applications; VA_INVALID_ID is never reached. */
    base->id = ++objects->last;
    g_hash_table_insert(objects->table, GUINT_TO_POINTER(base->id), base);
    g_mutex_unlock(&objects->lock);
    return base->id;
}

static ScVaObject *lookup(ScVaObjects *objects, VAGenericID id, ScVaObjectType type)
{
    ScVaObject *object = g_hash_table_lookup(objects->table, GUINT_TO_POINTER(id));
    return object && object->type == type ? object : NULL;
}

gpointer sc_va_objects_get(ScVaObjects *objects, VAGenericID id, ScVaObjectType type)
{
    g_mutex_lock(&objects->lock);
    ScVaObject *object = lookup(objects, id, type);
    if (object)
        sc_va_object_ref(object);
    g_mutex_unlock(&objects->lock);
    return object;
}

gpointer sc_va_objects_remove(ScVaObjects *objects, VAGenericID id, ScVaObjectType type)
{
    g_mutex_lock(&objects->lock);
    ScVaObject *object = lookup(objects, id, type);
    if (object)
        g_hash_table_steal(objects->table, GUINT_TO_POINTER(id));
    g_mutex_unlock(&objects->lock);
    return object;
}
