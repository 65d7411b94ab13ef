// The C interface: stations, producers and consumers with the same words as the C++ one.
//
//   ll_error error;
//   ll_station* station = NULL;
//   if (ll_station_open_or_create("orders", NULL, NULL, &station, &error) != LL_OK) {
//     fprintf(stderr, "%s\n", error.message);
//     return 1;
//   }
//   ll_producer* producer = NULL;
//   ll_producer_open(station, NULL, &producer, &error);
//   ll_producer_publish(producer, "a message", 9, NULL, NULL, &error);
//   ll_producer_close(producer);
//   ll_station_close(station);
//
// What holds for every call:
//   - It answers LL_OK, or what stands in the way; then `*error` says it in words and all else that
//     would have been given stays as it was. `error` may be NULL; LL_OK leaves it alone.
//   - A NULL where something is needed is answered with LL_INVALID_ARGUMENT. Options may be NULL.
//   - Sizes are in bytes, times in nanoseconds.
//   - A station may be used by any number of threads at once; a producer, a consumer and what they
//     gave by one at a time. In a forked child every call answers LL_FORKED.
//   - Nothing is allocated and no system call is made for a message, unless somebody sleeps.
//   - Close producers and consumers in any order with their station; close(NULL) does nothing. A
//     process that dies without closing leaves nothing to clean up.
// Compile with C11 or later, or as C++; link with -lloopline.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shm/base/visibility.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ll_status {
  LL_OK = 0,
  LL_INVALID_ARGUMENT,  // a NULL, a name, size or option outside its range
  LL_NOT_FOUND,         // no such station
  LL_ALREADY_EXISTS,    // it is there already, with other parameters
  LL_TOO_LARGE,         // a message over max-message
  LL_FULL,              // the ring is full and the caller did not want to wait
  LL_TIMED_OUT,         // the timeout passed
  LL_NO_SPACE,          // shared memory, or the process's own, has no room for it
  LL_NO_PERMISSION,     // the mode of the ring's file forbids it
  LL_TOO_MANY,          // all slots of a kind are taken
  LL_VERSION_MISMATCH,  // the ring is of another layout version
  LL_CORRUPTED,         // bytes in shared memory that make no sense
  LL_FORKED,            // a handle used in a child process after fork
  LL_FENCED,            // a handle whose thread died, or that another took over
  LL_CLOSED,            // the station was removed (and, for a consumer, read to its end)
  LL_UNSUPPORTED,       // this kernel, processor or version of the library cannot
  LL_IO_ERROR           // a system call failed in another way
} ll_status;

// "not_found" of LL_NOT_FOUND; "unknown" of what is no status. Never freed.
LL_EXPORT const char* ll_status_name(ll_status status);

// The caller's: on the stack, for instance.
typedef struct ll_error {
  ll_status status;
  char message[1020];  // what happened, to what, what to do next; ends with 0, cut if too long
} ll_error;

// Text that does not end with 0: print it with "%.*s", (int)text.size, text.data.
typedef struct ll_text {
  const char* data;
  size_t size;
} ll_text;

// The text of a string that ends with 0; none of NULL.
static inline ll_text ll_text_of(const char* string) {
  ll_text text = {string, string == NULL ? 0 : strlen(string)};
  return text;
}

typedef struct ll_bytes {
  const void* data;
  size_t size;
} ll_bytes;

typedef struct ll_header {
  ll_text name;
  ll_text value;
} ll_header;

typedef struct ll_station ll_station;
typedef struct ll_producer ll_producer;
typedef struct ll_consumer ll_consumer;
typedef struct ll_message ll_message;

// Options begin as the macro that has their name and are then changed:
//   ll_station_options options = LL_STATION_OPTIONS;
//   options.ring = 65536;
// `size` tells the library which fields the program knows, so that later versions may add some.

enum { LL_UNSET = 0 };       // in station options: not asked for
enum { LL_NO = 1, LL_YES };  // exclusive
enum { LL_WHEN_FULL_BLOCK = 1, LL_WHEN_FULL_REJECT, LL_WHEN_FULL_DROP_OLDEST };  // when_full
enum { LL_TIMESTAMP_PRECISE = 1, LL_TIMESTAMP_COARSE, LL_TIMESTAMP_OFF };        // timestamp
// memory: gone with the machine. file: kept in segments on disk by whoever flushes it (looplined or
// `loopline flush`); consumers read what the ring has lost from there.
enum { LL_STORAGE_MEMORY = 1, LL_STORAGE_FILE };  // storage

#define LL_NEVER UINT64_MAX         // evict_after_ns
#define LL_OFF UINT64_MAX           // retention_...: no such bound
#define LL_GROUP_COMMIT UINT64_MAX  // flush_ns

// Only what is set is asked for: an existing station that differs in it is refused.
typedef struct ll_station_options {
  size_t size;
  uint64_t ring;         // bytes of each partition, a power of two in 64 KiB..64 GiB; default 8 MiB
  uint64_t max_message;  // bytes of one message; default and most: ring/8 - 32
  uint32_t exclusive;    // one producer at a time, a little faster; default no
  uint32_t when_full;    // default block
  uint32_t timestamp;    // default precise
  uint32_t mode;         // permissions of the ring's file; default 0660
  uint32_t partitions;   // 1..256, default 1; order is total within a partition
  uint32_t storage;      // default memory
  uint64_t evict_after_ns;  // a consumer that held a full ring so long is detached (FENCED);
                            // default LL_NEVER, else from 1 ms
  // Of a file station. What is older than an age, or more than so many messages or bytes, is
  // dropped in whole segments.
  uint64_t segment;             // bytes of a file of its log, 64 KiB..1 GiB; default 64 MiB
  uint64_t retention_age_ns;    // default 7 days
  uint64_t retention_messages;  // default LL_OFF
  uint64_t retention_bytes;     // default LL_OFF
  uint64_t flush_ns;            // how long messages gather for one write; default LL_GROUP_COMMIT:
                                // while the write before is on its way
  uint64_t dedup_window_ns;     // for how long an id is known again, at most 24 h; default 2 min,
                                // LL_NEVER: ids are not looked at
  uint32_t dedup_entries;       // how many ids at once, 2^n in 1024..4194304; default 65536
  uint32_t reserved;            // 0
} ll_station_options;
#define LL_STATION_OPTIONS                                                                         \
  {                                                                                                \
    sizeof(ll_station_options), 0, 0, LL_UNSET, LL_UNSET, LL_UNSET, 0, 0, LL_UNSET, 0, 0, 0, 0, 0, \
        0, 0, 0, 0                                                                                 \
  }

// `name` is "station" (of factory main) or "factory/station". `dir` chooses the instance; NULL or
// "" means LOOPLINE_DIR, /run/loopline, or $XDG_RUNTIME_DIR/loopline. `*station` is closed by
// ll_station_close. Status: INVALID_ARGUMENT (name, sizes), ALREADY_EXISTS (with other parameters;
// says which), NO_SPACE, NO_PERMISSION, VERSION_MISMATCH, CORRUPTED.
LL_EXPORT ll_status ll_station_open_or_create(const char* name, const char* dir,
                                              const ll_station_options* options,
                                              ll_station** station, ll_error* error);
// Status: NOT_FOUND and the above.
LL_EXPORT ll_status ll_station_open(const char* name, const char* dir, ll_station** station,
                                    ll_error* error);
// Status: ALREADY_EXISTS and the above.
LL_EXPORT ll_status ll_station_create(const char* name, const char* dir,
                                      const ll_station_options* options, ll_station** station,
                                      ll_error* error);
// Ends the station: producers and waiting consumers are told at once (CLOSED), consumers that are
// behind read what is there first. Status: NOT_FOUND, UNSUPPORTED (a living exclusive producer).
LL_EXPORT ll_status ll_station_remove(const char* name, const char* dir, ll_error* error);
// Gives a living station what is set in `options`: whoever is attached goes on and loses nothing,
// whoever comes later begins with the new ring. Interrupted, the same call completes it. Status:
// NOT_FOUND, UNSUPPORTED (partitions, exclusive, to or from drop-oldest; a living exclusive
// producer), INVALID_ARGUMENT, NO_SPACE, NO_PERMISSION.
LL_EXPORT ll_status ll_station_edit(const char* name, const char* dir,
                                    const ll_station_options* options, ll_error* error);
// Drops what is in it, on disk too, for whoever comes later; sequences go on. Status: as above.
LL_EXPORT ll_status ll_station_purge(const char* name, const char* dir, ll_error* error);
// Its producers and consumers go on.
LL_EXPORT void ll_station_close(ll_station* station);

// "factory/station", until the station is closed; "" of NULL.
LL_EXPORT const char* ll_station_name(const ll_station* station);
// In bytes; 0 of NULL.
LL_EXPORT uint64_t ll_station_ring(const ll_station* station);
LL_EXPORT uint64_t ll_station_max_message(const ll_station* station);

// A factory is the namespace before the slash of factory/station. What it says is for stations that
// are made from then on and name nothing else; one need not be created: then its stations have the
// defaults above and no quota.
typedef struct ll_factory_options {
  size_t size;
  const ll_station_options* stations;  // needed during the call only; NULL: the defaults
  uint64_t quota_memory;               // bytes of shared memory of all its rings; 0: no bound
  uint64_t quota_stations;             // how many it may have; 0: no bound
} ll_factory_options;
#define LL_FACTORY_OPTIONS \
  { sizeof(ll_factory_options), NULL, 0, 0 }

// Status: ALREADY_EXISTS, INVALID_ARGUMENT, NO_PERMISSION.
LL_EXPORT ll_status ll_factory_create(const char* name, const char* dir,
                                      const ll_factory_options* options, ll_error* error);
// Says `options` from now on, and nothing else. Status: NOT_FOUND and the above.
LL_EXPORT ll_status ll_factory_edit(const char* name, const char* dir,
                                    const ll_factory_options* options, ll_error* error);
// With stations in it: ALREADY_EXISTS, or with `with_stations` 1 they are removed first. Status:
// NOT_FOUND, and those of ll_station_remove.
LL_EXPORT ll_status ll_factory_remove(const char* name, const char* dir, uint32_t with_stations,
                                      ll_error* error);

// An identity that is given, not drawn, is one producer's at a time: whoever opens it again
// takes it over and gets the next epoch, and who had it before is FENCED. A partition remembers
// the number of the last message of each identity: what has one that is not above it is there
// already.
typedef struct ll_producer_options {
  size_t size;
  uint64_t id;              // with identified: whose; 0 draws one, which nobody else ever has
  uint64_t first_sequence;  // with identified: the number of its first message; 0: one more than
                            // the last that the station has of it
  uint32_t reserved;        // 0
  uint32_t identified;      // 1: every message carries {id, epoch, sequence} of its producer
} ll_producer_options;
#define LL_PRODUCER_OPTIONS \
  { sizeof(ll_producer_options), 0, 0, 0, 0 }
// The identity of a producer that is known by a name; 0 of NULL.
LL_EXPORT uint64_t ll_producer_id_of(const char* name);

// One per thread. Status: TOO_MANY, NO_PERMISSION, CLOSED, TIMED_OUT (the dead hold all places, and
// whoever cleans up after them has stopped).
LL_EXPORT ll_status ll_producer_open(const ll_station* station, const ll_producer_options* options,
                                     ll_producer** producer, ll_error* error);
// Slots that were not committed are aborted.
LL_EXPORT void ll_producer_close(ll_producer* producer);
// Drawn at random unless given; 0 of NULL.
LL_EXPORT uint64_t ll_producer_id(const ll_producer* producer);
// Of an identity that was given: the number of the last message that the station had of it when it
// was opened, and the one that its next message gets; how often it was opened. 0 of NULL.
LL_EXPORT uint64_t ll_producer_last_sequence(const ll_producer* producer);
LL_EXPORT uint64_t ll_producer_next_sequence(const ll_producer* producer);
LL_EXPORT uint32_t ll_producer_epoch(const ll_producer* producer);
// 1 when the last message with an id, or of an identity that was given, was there already: it was
// not appended again, and its sequence is that one's, 0 when it is not known any more.
LL_EXPORT int ll_producer_was_duplicate(const ll_producer* producer);

#define LL_FOR_EVER ((int64_t)-1)
#define LL_AS_THE_STATION_SAYS ((int64_t)-2)  // for ever, or not at all where it says `reject`

// How far a message has got. visible: it is committed to the ring, survives its producer, and is
// seen as soon as what was claimed before it is committed; durable: synced on this host; committed:
// durable on a majority of the station's replicas, which without others is this host alone.
enum { LL_ACK_VISIBLE = 1, LL_ACK_DURABLE, LL_ACK_COMMITTED };

typedef struct ll_publish_options {
  size_t size;
  ll_text key;
  ll_text id;
  const ll_header* headers;  // needed during the call only, like the texts
  size_t header_count;       // at most 1024
  int64_t timeout_ns;        // how long to wait for room; 0: not at all
  uint32_t ack;              // the level that publish waits for; LL_UNSET: the station's, visible
                             // in memory and durable of a file station
  uint32_t reserved;         // 0
} ll_publish_options;
#define LL_PUBLISH_OPTIONS \
  { sizeof(ll_publish_options), {NULL, 0}, {NULL, 0}, NULL, 0, LL_AS_THE_STATION_SAYS, LL_UNSET, 0 }

// A message between claim and commit. Copies of it are the same message.
typedef struct ll_slot {
  void* bytes;  // where the payload goes, 16-byte aligned; NULL once committed or aborted
  size_t size;  // exactly what was claimed
  uint64_t sequence;
  uint64_t index;  // the library's
} ll_slot;

// Room for a payload of `payload_bytes`, written in place: no copy. Messages become visible in the
// order of their claims; until a slot is committed everything behind it waits, so fill it at once.
// Status: TOO_LARGE, FULL (reject), TIMED_OUT, FENCED, FORKED, CLOSED (station removed), CORRUPTED.
LL_EXPORT ll_status ll_producer_claim(ll_producer* producer, size_t payload_bytes,
                                      const ll_publish_options* options, ll_slot* slot,
                                      ll_error* error);
// Status: INVALID_ARGUMENT (committed or aborted already, or another producer's), FENCED.
LL_EXPORT ll_status ll_producer_commit(ll_producer* producer, ll_slot* slot, ll_error* error);
// The sequence stays without a message. Status: as commit.
LL_EXPORT ll_status ll_producer_abort(ll_producer* producer, ll_slot* slot, ll_error* error);
// Claim, copy and commit, and wait for the level: of a file station until the message is on disk,
// for as long as `timeout_ns`. `sequence`, unless NULL, is given the message's. Status: as claim;
// TIMED_OUT, NO_SPACE and IO_ERROR also of the disk: the error says whether the message is in the
// ring, and may still become durable.
LL_EXPORT ll_status ll_producer_publish(ll_producer* producer, const void* payload,
                                        size_t payload_bytes, const ll_publish_options* options,
                                        uint64_t* sequence, ll_error* error);

// A message that was published without waiting for its level. Copies of it are the same; it is of
// use with the producer that gave it only.
typedef struct ll_ticket {
  uint64_t sequence;
  uint64_t end_position;  // in the log, behind the message
  uint32_t partition;
  uint32_t duplicate;  // 1: it was there already
} ll_ticket;

// As publish, without waiting for the level, so that thousands may be in flight; it waits for room
// as publish does.
LL_EXPORT ll_status ll_producer_publish_async(ll_producer* producer, const void* payload,
                                              size_t payload_bytes,
                                              const ll_publish_options* options, ll_ticket* ticket,
                                              ll_error* error);
// The highest level (LL_ACK_...) that a message has reached by now: LL_ACK_COMMITTED as soon as it
// is durable, without replicas; LL_UNSET of NULL.
LL_EXPORT uint32_t ll_producer_level(const ll_producer* producer, const ll_ticket* ticket);
// Until the message has reached the level. Status: TIMED_OUT, INVALID_ARGUMENT, UNSUPPORTED (a
// level that the station does not have), NO_SPACE and IO_ERROR (the disk of its log), CLOSED.
LL_EXPORT ll_status ll_producer_wait(ll_producer* producer, const ll_ticket* ticket, uint32_t level,
                                     int64_t timeout_ns, ll_error* error);

enum {
  LL_FROM_EARLIEST,  // what is still there
  LL_FROM_LATEST,    // what comes from now on
  LL_FROM_SEQUENCE,  // from_value: a sequence
  LL_FROM_TIME,      // from_value: UTC nanoseconds
  LL_FROM_LAST       // from_value: a count of messages
};
// spin: a core for the lowest latency; adaptive: about 50 us of it, then sleep; park: sleep at once
enum { LL_WAIT_SPIN, LL_WAIT_ADAPTIVE, LL_WAIT_PARK };

typedef struct ll_consumer_options {
  size_t size;
  uint64_t from_value;
  uint32_t from;       // default latest
  uint32_t wait;       // default adaptive
  uint32_t lossy;      // 1: producers do not wait for it; what it missed is told by ll_consumer_gap
  uint32_t partition;  // only this one, or LL_ALL_PARTITIONS, the default
} ll_consumer_options;
#define LL_ALL_PARTITIONS UINT32_MAX
#define LL_CONSUMER_OPTIONS \
  { sizeof(ll_consumer_options), 0, LL_FROM_LATEST, LL_WAIT_ADAPTIVE, 0, LL_ALL_PARTITIONS }

// Status: as ll_producer_open; NOT_FOUND (no such partition), INVALID_ARGUMENT (from a sequence, of
// several partitions), UNSUPPORTED (from a time, where the station keeps none).
LL_EXPORT ll_status ll_consumer_open(const ll_station* station, const ll_consumer_options* options,
                                     ll_consumer** consumer, ll_error* error);
LL_EXPORT void ll_consumer_close(ll_consumer* consumer);

enum { LL_RUN_MAX = 64 };  // messages that one ll_consumer_read gives at most

// The messages that are there now, at most `max` of them; `*count` may be 0. They are valid until
// the next read, release or close of this consumer. Never waits.
// Status: CLOSED (station removed and read to its end), CORRUPTED, FENCED, FORKED.
LL_EXPORT ll_status ll_consumer_read(ll_consumer* consumer, const ll_message** messages, size_t max,
                                     size_t* count, ll_error* error);
// The next message, waiting for it for as long as `timeout_ns` (LL_FOR_EVER). Valid until the next
// read, take, release or close. Status: TIMED_OUT (none came), and as read.
LL_EXPORT ll_status ll_consumer_take(ll_consumer* consumer, const ll_message** message,
                                     int64_t timeout_ns, ll_error* error);
// Gives the space of the last run back to the producers. Status: FENCED, FORKED.
LL_EXPORT ll_status ll_consumer_release(ll_consumer* consumer, ll_error* error);
// Until there is something to read, or the station was removed (then read says CLOSED). TIMED_OUT:
// there was nothing for that long; 0 only looks. Status: also CORRUPTED, FENCED, FORKED.
LL_EXPORT ll_status ll_consumer_wait(ll_consumer* consumer, int64_t timeout_ns, ll_error* error);

// A descriptor for epoll, poll or io_uring, readable when there is something to read or to be told
// (a removed station: read says CLOSED). The read that finds nothing waits for the next message: it
// makes it unreadable, so read until `*count` is 0; a loop that is told levels may also read once a
// turn. It is readable now and then without a message. Only polled, and closed with the consumer;
// the same at each call. After the death of a producer at the wrong moment it may take up to 1 s:
// see loopline/consumer.h. Status: NO_PERMISSION (a station that may only be read, or whose folder
// may not be written to), FENCED, FORKED, CORRUPTED, or what the kernel refuses; then use
// ll_consumer_wait.
LL_EXPORT ll_status ll_consumer_fd(ll_consumer* consumer, int* fd, ll_error* error);

// Sequences that the consumer did not get, just before the messages it read last.
typedef struct ll_gap {
  uint64_t first;
  uint64_t count;  // 0: none
  uint32_t partition;
  uint32_t reserved;
} ll_gap;
// Asking forgets it. None of NULL.
LL_EXPORT ll_gap ll_consumer_gap(ll_consumer* consumer);

// What a message holds; all of it points into the message and lives as long. Any thread may ask.
// Of NULL, and for what the message does not carry: 0, or data NULL and size 0.
LL_EXPORT uint64_t ll_message_sequence(const ll_message* message);
// UTC nanoseconds at claim; 0 when the station keeps none.
LL_EXPORT uint64_t ll_message_timestamp_ns(const ll_message* message);
LL_EXPORT uint32_t ll_message_partition(const ll_message* message);
// Bytes in the log before this message.
LL_EXPORT uint64_t ll_message_position(const ll_message* message);
LL_EXPORT ll_bytes ll_message_payload(const ll_message* message);
// Key, id and headers are parsed at each call.
LL_EXPORT ll_text ll_message_key(const ll_message* message);
LL_EXPORT ll_text ll_message_id(const ll_message* message);
LL_EXPORT uint32_t ll_message_header_count(const ll_message* message);
LL_EXPORT ll_header ll_message_header(const ll_message* message, uint32_t index);

// Who published a message, when its producer was opened with `identified`; else all 0.
typedef struct ll_producer_identity {
  uint64_t id;
  uint64_t sequence;  // from 1, per producer and epoch
  uint32_t epoch;
  uint32_t reserved;
} ll_producer_identity;
LL_EXPORT ll_producer_identity ll_message_producer(const ll_message* message);

#ifdef __cplusplus
}
#endif
