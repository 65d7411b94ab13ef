// TSan's options for these tests.
//
// Its deadlock detector knows 64 locks a thread; with a seat in each of many rosters a thread holds
// more. A long history keeps the stack of the other side of a race.

#if defined(__SANITIZE_THREAD__)
// TSan's library looks for it among our exported symbols.
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_options();
const char* __tsan_default_options() { return "history_size=7:detect_deadlocks=0"; }
#endif
