/* ahead.c: urgency in C. Pieces in order, the next four wanted a second apart. */
#include "rtor.h"

#include <string.h>

enum { AHEAD = 4 };

static int instance;

static int is_missing(const rtor_swarm *swarm, uint32_t piece)
{
    return swarm->priority[piece] > 0 && !(swarm->have[piece / 64] >> piece % 64 & 1);
}

/* Where the reader is; a host of minor 0 says nothing of one. */
static uint32_t playhead(const rtor_swarm *swarm)
{
    const int knows = swarm->size >= offsetof(rtor_swarm, read_end) + sizeof(swarm->read_end);

    return knows && swarm->read_end != 0 ? swarm->playhead : 0;
}

static rtor_status create(const rtor_host *host, rtor_lent options, void **out)
{
    (void)host, (void)options;
    *out = &instance;
    return RTOR_OK;
}

static void destroy(void *self) { (void)self; }

static rtor_status epoch(void *self, const rtor_swarm *swarm, uint64_t *out)
{
    (void)self;
    *out = playhead(swarm);
    return RTOR_OK;
}

static rtor_status rank(void *self, const rtor_swarm *swarm, const uint32_t *pieces,
                        uint64_t *keys, size_t count)
{
    (void)self;
    for (size_t i = 0; i < count; i++)
        keys[i] = (uint32_t)(pieces[i] - playhead(swarm)); /* What lies behind wraps. */
    return RTOR_OK;
}

static rtor_status urgent(void *self, const rtor_swarm *swarm, rtor_urgent *list,
                          size_t capacity, size_t *count)
{
    size_t listed = 0;

    (void)self;
    for (uint32_t p = playhead(swarm); p < swarm->piece_count; p++) {
        if (listed == AHEAD || listed == capacity)
            break;
        if (is_missing(swarm, p)) {
            list[listed].piece = p;
            list[listed].reserved = 0;
            list[listed].within_us = listed * UINT64_C(1000000);
            listed++;
        }
    }
    *count = listed; /* Never above `capacity`. */
    return RTOR_OK;
}

static const rtor_strategy_table strategy = {
    sizeof(rtor_strategy_table), 0, create, destroy, epoch, rank, urgent
};

static const void *interface(rtor_lent id)
{
    const size_t size = sizeof(RTOR_STRATEGY) - 1;

    return id.size == size && memcmp(id.data, RTOR_STRATEGY, size) == 0 ? &strategy : NULL;
}

extern const rtor_entry ahead_plugin;
const rtor_entry ahead_plugin = {
    { RTOR_ABI_MAJOR, RTOR_ABI_MINOR }, sizeof(rtor_entry), RTOR_TEXT("ahead"),
    RTOR_TEXT("0.1.0"), RTOR_TEXT("in order, the next pieces by the second"), interface
};
