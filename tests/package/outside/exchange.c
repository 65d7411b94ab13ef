// A stranger's program in C: publishes words into a station, or prints what is there.
//
//   exchange_c publish STATION WORD...        exchange_c read STATION COUNT
#include <loopline/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const ll_error* error) {
  fprintf(stderr, "%s: %s\n", ll_status_name(error->status), error->message);
  return 1;
}

static int publish(const ll_station* station, int count, char** words) {
  ll_error error;
  ll_producer* producer = NULL;
  if (ll_producer_open(station, NULL, &producer, &error) != LL_OK) return failed(&error);
  ll_publish_options options = LL_PUBLISH_OPTIONS;
  options.key = ll_text_of("outside");
  for (int index = 0; index < count; ++index) {
    const char* word = words[index];
    const ll_status status =
        ll_producer_publish(producer, word, strlen(word), &options, NULL, &error);
    if (status != LL_OK) return failed(&error);
  }
  ll_producer_close(producer);
  return 0;
}

static void print(const ll_message* message) {
  const ll_text key = ll_message_key(message);
  const ll_bytes payload = ll_message_payload(message);
  printf("%.*s:%.*s\n", (int)key.size, key.data, (int)payload.size, (const char*)payload.data);
}

static int read_messages(const ll_station* station, size_t wanted) {
  ll_error error;
  ll_consumer* consumer = NULL;
  ll_consumer_options options = LL_CONSUMER_OPTIONS;
  options.from = LL_FROM_EARLIEST;
  if (ll_consumer_open(station, &options, &consumer, &error) != LL_OK) return failed(&error);
  while (wanted != 0) {
    const ll_message* messages[LL_RUN_MAX];
    size_t count = 0;
    const size_t max = wanted < LL_RUN_MAX ? wanted : LL_RUN_MAX;
    if (ll_consumer_wait(consumer, LL_FOR_EVER, &error) != LL_OK ||
        ll_consumer_read(consumer, messages, max, &count, &error) != LL_OK) {
      return failed(&error);
    }
    for (size_t index = 0; index < count; ++index) print(messages[index]);
    if (ll_consumer_release(consumer, &error) != LL_OK) return failed(&error);
    wanted -= count;
  }
  ll_consumer_close(consumer);
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  ll_error error;
  ll_station* station = NULL;
  ll_station_options options = LL_STATION_OPTIONS;
  options.ring = 65536;
  if (ll_station_open_or_create(argv[2], NULL, &options, &station, &error) != LL_OK) {
    return failed(&error);
  }
  const int status = strcmp(argv[1], "publish") == 0
                         ? publish(station, argc - 3, argv + 3)
                         : read_messages(station, strtoul(argv[3], NULL, 10));
  ll_station_close(station);
  return status;
}
