/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture/import.h"

#include "capture/error.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The names of ELF(5) below. */
#define R_SYMBOL(info) _ElfW(ELF, __ELF_NATIVE_CLASS, R_SYM)(info)

/* A library as the dynamic linker has loaded it. */
typedef struct {
    gconstpointer exported; /* an address inside */
    const char *name;       /* NULL until found */
    ElfW(Addr) base;
    const ElfW(Dyn) * dynamic;
    ElfW(Addr) relro, relro_end; /* what is read-only after loading */
} Library;

static int find_library(struct dl_phdr_info *info, size_t size, void *data)
{
    Library *library = data;
    Library found = { .base = info->dlpi_addr };

    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        ElfW(Addr) start = info->dlpi_addr + segment->p_vaddr;
        ElfW(Addr) end = start + segment->p_memsz;

        if (segment->p_type == PT_LOAD && (ElfW(Addr))library->exported >= start &&
            (ElfW(Addr))library->exported < end) {
            found.name = info->dlpi_name;
        } else if (segment->p_type == PT_DYNAMIC) {
            found.dynamic = (const ElfW(Dyn) *)start;
        } else if (segment->p_type == PT_GNU_RELRO) {
            found.relro = start;
            found.relro_end = end;
        }
    }
    if (found.name == NULL || found.dynamic == NULL) {
        return 0;
    }
    *library = found;
    return 1;
}

/* 0 if there is none. Some ports leave these relative. */
static ElfW(Addr) get_address(const Library *library, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *item = library->dynamic; item->d_tag != DT_NULL; item++) {
        if (item->d_tag == tag) {
            return item->d_un.d_ptr < library->base ? library->base + item->d_un.d_ptr
                                                    : item->d_un.d_ptr;
        }
    }
    return 0;
}

static ElfW(Xword) get_number(const Library *library, ElfW(Sxword) tag)
{
    for (const ElfW(Dyn) *item = library->dynamic; item->d_tag != DT_NULL; item++) {
        if (item->d_tag == tag) {
            return item->d_un.d_val;
        }
    }
    return 0;
}

static gboolean write_word(const Library *library, ElfW(Addr) address, gpointer value)
{
    gboolean is_protected = address >= library->relro && address < library->relro_end;
    gsize page = (gsize)sysconf(_SC_PAGESIZE);
    void *start = (void *)(address & ~(page - 1));

    if (is_protected && mprotect(start, page, PROT_READ | PROT_WRITE) != 0) {
        return FALSE;
    }
    g_atomic_pointer_set((gpointer *)address, value);
    return !is_protected || mprotect(start, page, PROT_READ) == 0;
}

/* How many were replaced; -1 and errno if one could not be. */
static int replace_in(const Library *library, ElfW(Addr) table, gsize size, const char *function,
                      gpointer replacement)
{
    const ElfW(Rela) *relocations = (const ElfW(Rela) *)table;
    const ElfW(Sym) *symbols = (const ElfW(Sym) *)get_address(library, DT_SYMTAB);
    const char *names = (const char *)get_address(library, DT_STRTAB);
    int n_replaced = 0;

    for (gsize i = 0; table != 0 && i < size / sizeof *relocations; i++) {
        const ElfW(Sym) *symbol = &symbols[R_SYMBOL(relocations[i].r_info)];

        if (symbol->st_shndx != SHN_UNDEF || strcmp(names + symbol->st_name, function) != 0) {
            continue;
        }
        if (!write_word(library, library->base + relocations[i].r_offset, replacement)) {
            return -1;
        }
        n_replaced++;
    }
    return n_replaced;
}

gboolean sc_import_replace(gconstpointer exported, const char *function, gpointer replacement,
                           GError **error)
{
    Library library = { .exported = exported };
    int calls = 0, addresses = 0;

    if (dl_iterate_phdr(find_library, &library) == 1) {
        if (get_number(&library, DT_PLTREL) == DT_RELA) {
            calls = replace_in(&library, get_address(&library, DT_JMPREL),
                               get_number(&library, DT_PLTRELSZ), function, replacement);
        }
        addresses = replace_in(&library, get_address(&library, DT_RELA),
                               get_number(&library, DT_RELASZ), function, replacement);
    }
    if (calls < 0 || addresses < 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "%s of %s cannot be replaced: %s",
                    function, library.name, g_strerror(errno));
        return FALSE;
    }
    if (calls + addresses == 0) {
        g_set_error(error, SC_ERROR, SC_ERROR_UNSUPPORTED, "%s is not imported by %s", function,
                    library.name != NULL ? library.name : "that library");
        return FALSE;
    }
    return TRUE;
}
