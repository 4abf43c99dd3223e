/*
 * rtor.h: what a plugin of rtor is, in plain C (C99).
 *
 * A plugin is a shared library with one symbol: an `rtor_entry` named after the file.
 * `libmy_guest.so` exports
 *
 *     const rtor_entry my_guest_plugin = { ... };
 *
 * Build it with `cc -shared -fPIC -o libmy_guest.so my_guest.c`, and name it with
 * `rtor --plugin libmy_guest.so ...`, or put it where `rtor help plugins` says.
 *
 * The rules, for both sides:
 *
 * - Structs begin with their size (of the side that made them) and only grow. Read no field
 *   beyond the size that you were given. `abi.major` must be equal on both sides.
 * - What a pointer shows is borrowed until the call returns: copy what you keep, free nothing
 *   that is not yours. What an `rtor_entry` or a table shows is valid for ever; libraries are
 *   never unloaded.
 * - Text is UTF-8, not terminated. A null `data` with `size` 0 is the empty text.
 * - Each function has a thread word. [engine]: never two calls at once on one instance, though
 *   not always from the same thread. [any]: at any time, from any thread.
 * - No exception, longjmp or signal leaves a function of yours.
 * - `reserved` fields are 0 when you write them and ignored when you read them.
 *
 * This file is written by hand, and held to the Rust side by a test that compiles it and
 * compares every size, offset and number.
 */
#ifndef RTOR_H
#define RTOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the boundary that this header describes. */
enum { RTOR_ABI_MAJOR = 1, RTOR_ABI_MINOR = 2 };

/* `major` must be equal on both sides, `minor` only appends. */
typedef struct rtor_version {
    uint16_t major;
    uint16_t minor;
} rtor_version;

/* Bytes lent for the length of one call (or, inside an entry or a table, for ever). */
typedef struct rtor_lent {
    const uint8_t *data;
    size_t size;
} rtor_lent;

/* An initialiser of an rtor_lent from a string literal. */
#define RTOR_TEXT(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }

/* How a call ended. */
typedef uint32_t rtor_status;
enum {
    RTOR_OK = 0,       /* Done. */
    RTOR_DECLINED = 1, /* Not mine: the host may offer the fact to the next guest. */
    RTOR_FAILED = 2,   /* Refused; the guest has said why through `log`. */
    RTOR_POISONED = 3  /* The guest broke: the instance is never called again. */
};

/* An IP address and a port. */
typedef struct rtor_addr {
    uint8_t ip[16];   /* In network order; the first four bytes if `family` is 4. */
    uint16_t port;    /* In this machine's byte order. */
    uint8_t family;   /* 4 or 6. */
    uint8_t reserved;
} rtor_addr;

/* How much a line of talk matters. */
enum {
    RTOR_LEVEL_DEBUG = 0,
    RTOR_LEVEL_INFO = 1,
    RTOR_LEVEL_WARNING = 2,
    RTOR_LEVEL_ERROR = 3
};

/* What a guest may call back. It outlives the instance that it was given to. */
typedef struct rtor_host {
    uint32_t size;
    uint32_t reserved;
    void *context; /* The host's own: hand it back in every call. */
    /* [any] Says one line. */
    void (*log)(void *context, uint32_t level, rtor_lent text);
    /* [any] Asks for a `woken` fact soon: for guests that run a thread of their own. */
    void (*wake)(void *context);
} rtor_host;

/* A plugin: the one symbol that its file exports. */
typedef struct rtor_entry {
    rtor_version abi;  /* The boundary that it was built for. */
    uint32_t size;     /* sizeof(rtor_entry) */
    rtor_lent id;      /* What a person types: letters, digits and `-`. */
    rtor_lent version; /* The plugin's own: `1.2.0`. */
    rtor_lent about;   /* One sentence. */
    /* [any] The table of interface `id`, null if this plugin has none; valid for ever. */
    const void *(*interface)(rtor_lent id);
} rtor_entry;

/* ---- rtor.strategy/1: in which order pieces matter, and when --------------------------- */

#define RTOR_STRATEGY "rtor.strategy/1"

/* What is known of the swarm, in columns of `piece_count` entries. */
typedef struct rtor_swarm {
    uint32_t size;
    uint32_t piece_count;
    const uint16_t *availability; /* How many connected peers have each piece. */
    const uint8_t *priority;      /* 0 not wanted, 1 to 7 wanted, 4 is normal. */
    const uint64_t *have;         /* One bit a piece, least significant first. */
    uint64_t seed;                /* Chance: the same for the whole run. */
    uint32_t have_count;          /* Pieces had so far. */
    uint32_t playhead;            /* The piece that a reader waits for, if `read_end` is not 0. */
    /* Since minor 1: only if `size` is beyond them. */
    uint32_t piece_length; /* Bytes of every piece but the last. */
    uint32_t read_end;     /* The piece after the last one of what is read; 0: nobody reads. */
} rtor_swarm;

/* A piece that is wanted by a moment. */
typedef struct rtor_urgent {
    uint32_t piece;
    uint32_t reserved;
    uint64_t within_us; /* Microseconds from now until it should be there. */
} rtor_urgent;

/* The functions of a strategy; none but `urgent` may be null. */
typedef struct rtor_strategy_table {
    uint32_t size; /* sizeof(rtor_strategy_table) */
    uint32_t reserved;
    /* [engine] Makes an instance from `key=value,..`; it may not be null. On RTOR_FAILED it has
     * logged why, at RTOR_LEVEL_ERROR. */
    rtor_status (*create)(const rtor_host *host, rtor_lent options, void **instance);
    /* [engine] Ends an instance. It calls its host no more after that. */
    void (*destroy)(void *instance);
    /* [engine] When this number changes, the keys of all pieces are asked for again. */
    rtor_status (*epoch)(void *instance, const rtor_swarm *swarm, uint64_t *epoch);
    /* [engine] Writes one key for each of `count` pieces, all of them below `piece_count`;
     * smaller comes first. */
    rtor_status (*rank)(void *instance, const rtor_swarm *swarm, const uint32_t *pieces,
                        uint64_t *keys, size_t count);
    /* [engine] Since minor 1; null: no piece ever is urgent. Lists up to `capacity` missing
     * pieces that are wanted by a moment, soonest first, and writes how many it listed to
     * `count`: never more than `capacity`, or the instance is taken for broken. Pieces that are
     * had, not wanted or beyond the torrent are left out, and of one listed twice the later.
     * Asked again when the epoch, `have_count` or the reader changed. */
    rtor_status (*urgent)(void *instance, const rtor_swarm *swarm, rtor_urgent *list,
                          size_t capacity, size_t *count);
} rtor_strategy_table;

/* ---- rtor.discovery/1: who else is in the swarm ---------------------------------------- */

#define RTOR_DISCOVERY "rtor.discovery/1"

/* Counters as trackers want them, and what the host would like. */
typedef struct rtor_totals {
    uint64_t uploaded;     /* Bytes sent in blocks. */
    uint64_t downloaded;   /* Bytes received in blocks. */
    uint64_t left;         /* Bytes of the torrent that are not here, wanted or not. */
    uint32_t peers;        /* Peers connected now. */
    uint32_t peers_wanted; /* Peers that the host would still take. */
} rtor_totals;

/* One tracker of the torrent. */
typedef struct rtor_tracker {
    rtor_lent url;
    uint32_t tier; /* From 0 (BEP 12). */
    uint32_t reserved;
} rtor_tracker;

/* Body of `started`. */
typedef struct rtor_started {
    rtor_lent info_hash; /* 20 bytes (v1) or 32 (v2). */
    rtor_lent peer_id;   /* 20 bytes. */
    const rtor_tracker *trackers;
    size_t tracker_count;
    uint64_t seed; /* Chance: the same for the whole run. */
    rtor_totals totals;
    uint16_t port;      /* Where we accept TCP; 0: nowhere. */
    uint8_t is_private; /* 1: BEP 27. */
    uint8_t reserved;
    uint16_t udp_port; /* Where datagrams come from; 0: nowhere, or it is not known. */
    uint16_t reserved_too;
} rtor_started;

/* Body of `peer_joined` and `peer_left`. */
typedef struct rtor_peer {
    rtor_addr addr; /* Where it listens, as far as is known. */
    uint32_t peer;  /* The host's number for it. */
    uint32_t flags; /* Bit 0: it came to us. Bit 1: it is a seed. */
} rtor_peer;

/* Body of `extension` and `send_extension` (BEP 10). */
typedef struct rtor_extension {
    rtor_lent name;    /* `ut_pex`. */
    rtor_lent payload; /* The message without its id. */
    uint32_t peer;
    uint32_t reserved;
} rtor_extension;

/* Body of `datagram` (from) and `send_datagram` (to). */
typedef struct rtor_datagram {
    rtor_addr addr;
    rtor_lent bytes;
} rtor_datagram;

/* Body of `http_get`. */
typedef struct rtor_http_get {
    uint64_t ticket; /* Comes back in the reply. */
    rtor_lent url;   /* Sent byte for byte as it stands. */
} rtor_http_get;

/* Body of `http_get_over`. */
typedef struct rtor_http_get_over {
    uint64_t ticket; /* Comes back in the reply. */
    rtor_lent url;   /* Sent byte for byte as it stands. */
    uint32_t family; /* 4 or 6. */
    uint32_t reserved;
} rtor_http_get_over;

/* Body of `http_reply`. */
typedef struct rtor_http_reply {
    uint64_t ticket;
    rtor_lent body;    /* At most 4 MiB. */
    rtor_lent problem; /* Why there is no reply, if `status` is 0. */
    uint32_t status;   /* The HTTP status; 0: no reply. */
    uint32_t reserved;
} rtor_http_reply;

/* Body of `resolve`. */
typedef struct rtor_resolve {
    uint64_t ticket; /* Comes back in the reply. */
    rtor_lent host;  /* A host name or a literal address. */
    uint16_t port;   /* Comes back in the addresses. */
    uint8_t reserved[6];
} rtor_resolve;

/* Body of `resolved`. */
typedef struct rtor_resolved {
    uint64_t ticket;
    const rtor_addr *addrs; /* Of both families. */
    size_t addr_count;      /* 0: not found. */
    rtor_lent problem;      /* Why not. */
} rtor_resolved;

/* Body of `found`. */
typedef struct rtor_found {
    rtor_lent source; /* Where from, for people: a tracker's URL. */
    const rtor_addr *addrs;
    size_t addr_count; /* At most 4096. */
} rtor_found;

/* Body of `join_multicast`. */
typedef struct rtor_multicast {
    rtor_addr group;
} rtor_multicast;

/* Body of `report`. */
typedef struct rtor_report {
    rtor_lent subject; /* What it is about: a tracker's URL. */
    rtor_lent text;    /* One sentence. */
    uint32_t level;    /* RTOR_LEVEL_.. */
    uint32_t reserved;
} rtor_report;

/* Body of `heard`. A count of -1 was not said. */
typedef struct rtor_heard {
    rtor_lent source;
    int64_t seeds;
    int64_t leeches;
    int64_t downloads;
    uint32_t interval_s; /* Seconds until this source is asked again; 0: after `scrape`. */
    uint32_t reserved;
} rtor_heard;

/* Body of `node`. */
typedef struct rtor_node {
    rtor_addr addr; /* Where it may be. */
} rtor_node;

/* Body of `state` and `keep`. */
typedef struct rtor_state {
    rtor_lent bytes; /* Your own, at most 64 KiB. */
} rtor_state;

/* Body of `join_dht`. */
typedef struct rtor_dht {
    uint32_t answers; /* 1: you answer on the UDP port, and peers may be told (BEP 5). */
    uint32_t reserved;
} rtor_dht;

/* Body of `mapped`. */
typedef struct rtor_mapped {
    rtor_addr addr;    /* Where others reach us with TCP; an unspecified address is not known. */
    uint16_t udp_port; /* At which port with UDP; 0: at none, or it is not known. */
    uint8_t reserved[6];
} rtor_mapped;

/* The numbers of `rtor_fact.kind`. Decline those that you do not know. */
enum {
    RTOR_FACT_STARTED = 1,     /* The download begins; `started`. */
    RTOR_FACT_PROGRESS = 2,    /* Every few seconds, and when peers run out; `totals`. */
    RTOR_FACT_COMPLETED = 3,   /* The last wanted piece was verified; `totals`. */
    RTOR_FACT_STOPPED = 4,     /* Say good-bye, then wish `finished`; `totals`. */
    RTOR_FACT_PEER_JOINED = 5, /* A peer finished its handshake; `peer`. */
    RTOR_FACT_PEER_LEFT = 6,   /* A peer is gone; `peer`. */
    RTOR_FACT_EXTENSION = 7,   /* A peer sent a message that you speak; `extension`. */
    RTOR_FACT_DATAGRAM = 8,    /* A datagram arrived on the one UDP port; `datagram`. */
    RTOR_FACT_HTTP_REPLY = 9,  /* An `http_get` ended; `http_reply`. */
    RTOR_FACT_RESOLVED = 10,   /* A `resolve` ended; `resolved`. */
    RTOR_FACT_DEADLINE = 11,   /* Your own deadline passed. */
    RTOR_FACT_WOKEN = 12,      /* You called `wake`. */
    RTOR_FACT_NODE = 13,       /* There may be a node of the DHT; `node`. */
    RTOR_FACT_STATE = 14,      /* Before `started`: what you wished to keep; `state`. */
    /* Since minor 2. Instead of `started`: what do you hear of the swarm, without taking part in
     * it (BEP 48)? Wish `heard` or `report` for each source, then `finished`; `started`, of which
     * only `info_hash`, `trackers`, `seed` and `is_private` mean anything. */
    RTOR_FACT_SCRAPE = 15,
    /* Since minor 2. A router passes on to us what it gets there: announce these ports from now on;
     * `mapped`. */
    RTOR_FACT_MAPPED = 16
};

typedef union rtor_fact_body {
    rtor_started started;
    rtor_totals totals;
    rtor_peer peer;
    rtor_extension extension;
    rtor_datagram datagram;
    rtor_http_reply http_reply;
    rtor_resolved resolved;
    uint64_t nothing;
    rtor_node node;
    rtor_state state;
    rtor_mapped mapped;
} rtor_fact_body;

/* What happened: a kind, and the body that goes with it. */
typedef struct rtor_fact {
    uint32_t size;
    uint32_t kind;
    rtor_fact_body body;
} rtor_fact;

/* The numbers of `rtor_wish.kind`. */
enum {
    RTOR_WISH_FOUND = 1,          /* Peers to try; `found`. */
    RTOR_WISH_SEND_EXTENSION = 2, /* Send a peer a message; `extension`. */
    RTOR_WISH_SEND_DATAGRAM = 3,  /* Send a datagram from the one UDP port; `datagram`. */
    RTOR_WISH_HTTP_GET = 4,       /* Fetch a URL; `http_get`. */
    RTOR_WISH_RESOLVE = 5,        /* Look a host name up; `resolve`. */
    RTOR_WISH_JOIN_MULTICAST = 6, /* Join a multicast group; `multicast`. */
    RTOR_WISH_REPORT = 7,         /* Something a person may want to know; `report`. */
    RTOR_WISH_HEARD = 8,          /* What a source said of the swarm; `heard`. */
    RTOR_WISH_FINISHED = 9,       /* After `stopped` or `scrape`: nothing more to say. */
    RTOR_WISH_KEEP = 10,          /* Keep these bytes for the next run; `state`. */
    RTOR_WISH_JOIN_DHT = 11,      /* You are a node of the DHT, and want `node` facts; `dht`. */
    RTOR_WISH_HTTP_GET_OVER = 12  /* Since minor 2. Over one family; `http_get_over`. */
};

typedef union rtor_wish_body {
    rtor_found found;
    rtor_extension extension;
    rtor_datagram datagram;
    rtor_http_get http_get;
    rtor_resolve resolve;
    rtor_multicast multicast;
    rtor_report report;
    rtor_heard heard;
    rtor_http_get_over http_get_over;
    uint64_t nothing;
    rtor_state state;
    rtor_dht dht;
} rtor_wish_body;

/* What you want: a kind, and the body that goes with it. */
typedef struct rtor_wish {
    uint32_t size; /* sizeof(rtor_wish) */
    uint32_t kind;
    rtor_wish_body body;
} rtor_wish;

/* Where wishes go during one call of `handle`. */
typedef struct rtor_sink {
    uint32_t size;
    uint32_t reserved;
    void *context; /* The host's own: hand it back. */
    /* [engine, inside handle] Copies a wish; RTOR_FAILED if it is malformed, carries more than
     * 64 KiB, or is the 4097th of one call. */
    rtor_status (*push)(void *context, const rtor_wish *wish);
} rtor_sink;

/* The functions of a discovery guest; none may be null. */
typedef struct rtor_discovery_table {
    uint32_t size;               /* sizeof(rtor_discovery_table) */
    uint32_t on_private;         /* 1: it also runs on private torrents (BEP 27). */
    const rtor_lent *extensions; /* The BEP 10 messages that it speaks: `ut_pex`. */
    size_t extension_count;
    /* [engine] As in rtor_strategy_table. */
    rtor_status (*create)(const rtor_host *host, rtor_lent options, void **instance);
    /* [engine] Ends an instance. It calls its host no more after that. */
    void (*destroy)(void *instance);
    /* [engine] A fact goes in, wishes go to the sink; RTOR_DECLINED if it is not its own.
     * `now_us` counts microseconds, and never goes back. */
    rtor_status (*handle)(void *instance, uint64_t now_us, const rtor_fact *fact,
                          const rtor_sink *sink);
    /* [engine] When to send `deadline`, in microseconds of `now_us`; UINT64_MAX: never. */
    rtor_status (*deadline)(void *instance, uint64_t *deadline_us);
} rtor_discovery_table;

#ifdef __cplusplus
}
#endif

#endif
