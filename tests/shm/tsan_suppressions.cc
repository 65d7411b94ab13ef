// TSan suppressions: the one race that is meant.
//
// A lossy reader looks at headers and copies payloads that a producer may be overwriting, and drops
// away what it read unless the window had not passed it (R6). TSan cannot know the second look; the
// model test proves it. Everything else it reports is a finding. The test is named as well as the
// function, because TSan sometimes has forgotten the reader's stack. Its deadlock detector knows 64
// locks a thread; with a seat in each of many rosters a thread holds more.

#if defined(__SANITIZE_THREAD__)
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:loopline::shm::Reader::next_copy\n"
         "race:LossyConsumer_ReadsRacingProducersWithoutATornMessage\n";
}
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "history_size=7:detect_deadlocks=0"; }
#endif
