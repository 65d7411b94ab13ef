// Hello in C: a station, one message in, the same message out.
//
//   hello [FOLDER]       the instance; LOOPLINE_DIR and its kin if none is named
#include <loopline/c.h>
#include <stdio.h>
#include <stdlib.h>

// Ends the program with what happened, unless all is well.
static void check(ll_status status, const ll_error* error) {
  if (status == LL_OK) return;
  fprintf(stderr, "%s\n", error->message);
  exit(1);
}

static void publish(const ll_station* station) {
  ll_error error;
  ll_producer* producer = NULL;
  check(ll_producer_open(station, NULL, &producer, &error), &error);

  ll_publish_options options = LL_PUBLISH_OPTIONS;
  options.key = ll_text_of("greeting");
  uint64_t sequence = 0;
  check(ll_producer_publish(producer, "hello, world", 12, &options, &sequence, &error), &error);
  printf("published message %llu\n", (unsigned long long)sequence);
  ll_producer_close(producer);
}

static void read_run(ll_consumer* consumer) {
  ll_error error;
  const ll_message* messages[LL_RUN_MAX];
  size_t count = 0;
  check(ll_consumer_wait(consumer, LL_FOR_EVER, &error), &error);
  check(ll_consumer_read(consumer, messages, LL_RUN_MAX, &count, &error), &error);
  for (size_t index = 0; index < count; ++index) {
    const ll_bytes text = ll_message_payload(messages[index]);
    const ll_text key = ll_message_key(messages[index]);
    printf("read \"%.*s\" with key %.*s\n", (int)text.size, (const char*)text.data, (int)key.size,
           key.data);
  }
  check(ll_consumer_release(consumer, &error), &error);
}

int main(int argc, char** argv) {
  const char* dir = argc > 1 ? argv[1] : NULL;
  ll_error error;
  ll_station* station = NULL;
  ll_consumer* consumer = NULL;
  ll_station_options options = LL_STATION_OPTIONS;
  options.ring = 65536;
  check(ll_station_open_or_create("hello", dir, &options, &station, &error), &error);
  check(ll_consumer_open(station, NULL, &consumer, &error), &error);
  publish(station);
  read_run(consumer);
  ll_consumer_close(consumer);
  ll_station_close(station);
  check(ll_station_remove("hello", dir, &error), &error);
  return 0;
}
