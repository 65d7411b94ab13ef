// Quiet path: publishing and polling with nobody asleep make no system call and allocate nothing.
//
// Counted, not assumed: a forked child does the work under a seccomp filter that turns every system
// call into a signal, whose handler counts it; and this program brings its own malloc, which
// counts. Timestamps are taken all the while: they come from the vDSO. Sanitizers call the kernel
// and allocate on their own account, so there is nothing to count in their builds.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <loopline/c.h>
#include <loopline/loopline.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "tests/support/must.h"
#include "tests/support/temp_instance.h"

namespace {

// What the child did, where the parent sees it.
struct Counts {
  uint64_t system_calls = 0;
  int first_call = -1;
  uint64_t allocations = 0;
  uint64_t messages = 0;
  bool finished = false;
};
Counts* counts = nullptr;
bool counting = false;

void count_allocation() {
  if (counting) ++counts->allocations;
}

}  // namespace

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* address, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

__attribute__((visibility("default"))) void* malloc(size_t size) {
  count_allocation();
  return __libc_malloc(size);
}
__attribute__((visibility("default"))) void* calloc(size_t count, size_t size) {
  count_allocation();
  return __libc_calloc(count, size);
}
__attribute__((visibility("default"))) void* realloc(void* address, size_t size) {
  count_allocation();
  return __libc_realloc(address, size);
}
__attribute__((visibility("default"))) void* aligned_alloc(size_t alignment, size_t size) {
  count_allocation();
  return __libc_memalign(alignment, size);
}
}

namespace loopline {
namespace {

using test::must;

constexpr int batch_count = 1000;
constexpr int batch_messages = 100;

void on_system_call(int, siginfo_t* info, void*) {
  if (counts->system_calls++ == 0) counts->first_call = info->si_syscall;
}

// From here on only the end of the process is let through; all else is counted and fails.
void forbid_system_calls() {
  struct sigaction action {};
  action.sa_sigaction = on_system_call;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSYS, &action, nullptr);
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  };
  const sock_fprog program{sizeof rules / sizeof rules[0], rules};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(5);
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(6);
}

// What `work` (a function of how often, returning how many messages went through) takes from the
// system in a child, after it has been at it a little. `prepare` makes it, in the child.
template <class Prepare>
Counts counted(Prepare&& prepare) {
  void* shared =
      ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  counts = new (shared) Counts;
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto work = prepare();
    work(10);
    forbid_system_calls();
    counting = true;
    counts->messages = work(batch_count);
    counting = false;
    counts->finished = true;
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  const Counts result = *counts;
  ::munmap(shared, sizeof(Counts));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(result.finished);
  return result;
}

class QuietPath : public testing::Test {
 protected:
  Station station(const StationOptions& options = {}) {
    return must(Station::open_or_create("quiet", options, instance_.folder()));
  }
  static void expect_quiet(const Counts& result) {
    EXPECT_EQ(result.system_calls, 0u) << "the first was number " << result.first_call;
    EXPECT_EQ(result.allocations, 0u);
    EXPECT_EQ(result.messages, uint64_t{batch_count} * batch_messages);
  }

  // Batches of messages published by `publish` and polled by a consumer opened with these options.
  template <class Publish>
  void expect_quiet_when(const StationOptions& options, const ConsumerOptions& reading,
                         Publish&& publish) {
    const Station quiet = station(options);
    expect_quiet(counted([&] {
      return [&publish, producer = must(quiet.producer()),
              consumer = must(quiet.consumer(reading))](int batches) mutable {
        uint64_t messages = 0;
        for (int batch = 0; batch < batches; ++batch) {
          for (int count = 0; count < batch_messages; ++count) {
            if (!publish(producer)) return messages;
          }
          if (!consumer.wait(std::chrono::seconds(1))) return messages;
          while (const size_t count = *consumer.poll([](const Message&) {})) messages += count;
        }
        return messages;
      };
    }));
  }

  test::TempInstance instance_;
};

TEST_F(QuietPath, NoticesASystemCallAndAnAllocation) {
  const Counts result = counted([] {
    return [](int) {
      ::syscall(SYS_getppid);
      std::free(::malloc(100));  // NOLINT: what is counted
      return uint64_t{1};
    };
  });
  EXPECT_EQ(result.system_calls, 1u);
  EXPECT_EQ(result.first_call, SYS_getppid);
  EXPECT_EQ(result.allocations, 1u);
}

TEST_F(QuietPath, PublishesAndPollsWithoutTheKernel) {
  expect_quiet_when({}, {}, [](Producer& producer) {
    return static_cast<bool>(producer.publish("a message of some forty bytes, more or less"));
  });
}

TEST_F(QuietPath, StampsTimesOfEveryKindWithoutTheKernel) {
  for (const Timestamp timestamp : {Timestamp::precise, Timestamp::coarse, Timestamp::off}) {
    (void)Station::remove("quiet", instance_.folder());
    expect_quiet_when({.timestamp = timestamp}, {}, [](Producer& producer) {
      return static_cast<bool>(producer.publish("tick"));
    });
  }
}

TEST_F(QuietPath, ClaimsAndCommitsInPlaceWithoutTheKernel) {
  expect_quiet_when({}, {}, [](Producer& producer) {
    auto slot = producer.claim(240);
    if (!slot) return false;
    std::fill(slot->bytes().begin(), slot->bytes().end(), std::byte{7});
    return static_cast<bool>(slot->commit());
  });
}

TEST_F(QuietPath, TakesKeysAndHeadersWithoutTheKernel) {
  expect_quiet_when({}, {}, [](Producer& producer) {
    const Header headers[] = {{"kind", "quote"}, {"venue", "here"}};
    return static_cast<bool>(
        producer.publish("with an extension", {.key = "AAPL", .headers = headers}));
  });
}

// The ledger is opened with the producer; from then on its lock is an atomic operation.
TEST_F(QuietPath, LooksNumbersUpWithoutTheKernel) {
  const Station quiet = station();
  expect_quiet(counted([&] {
    return [producer = must(quiet.producer({.identified = true, .id = 42})),
            consumer = must(quiet.consumer())](int batches) mutable {
      uint64_t messages = 0;
      for (int batch = 0; batch < batches; ++batch) {
        for (int count = 0; count < batch_messages; ++count) {
          if (!producer.publish("known by its number")) return messages;
        }
        while (const size_t count = *consumer.poll([](const Message&) {})) messages += count;
      }
      return messages;
    };
  }));
}

TEST_F(QuietPath, RunsAroundASmallRingWithoutTheKernel) {
  expect_quiet_when({.ring = 64_KiB, .exclusive = true}, {}, [](Producer& producer) {
    return static_cast<bool>(producer.publish(std::string_view("0123456789").substr(0, 9)));
  });
}

// In an event loop, but busy: it never comes to the end, and nobody need ring.
TEST_F(QuietPath, PublishesToABusyEventLoopWithoutTheKernel) {
  const Station quiet = station();
  expect_quiet(counted([&] {
    return [producer = must(quiet.producer()), consumer = [&] {
      Consumer opened = must(quiet.consumer());
      must(opened.fd());
      return opened;
    }()](int batches) mutable {
      uint64_t messages = 0;
      for (int batch = 0; batch < batches; ++batch) {
        for (int count = 0; count < batch_messages; ++count) (void)producer.publish("a message");
        messages += *consumer.poll([](const Message&) {}, batch_messages);
      }
      return messages;
    };
  }));
}

TEST_F(QuietPath, ReadsLossilyWithoutTheKernel) {
  expect_quiet_when({}, {.lossy = true}, [](Producer& producer) {
    return static_cast<bool>(producer.publish("copied by the reader"));
  });
}

// Handles of the C interface, which the child never closes: it ends.
struct CHandles {
  ll_producer* producer = nullptr;
  ll_consumer* consumer = nullptr;

  explicit CHandles(const char* dir) {
    ll_station* station = nullptr;
    (void)ll_station_open_or_create("quiet", dir, nullptr, &station, nullptr);
    (void)ll_producer_open(station, nullptr, &producer, nullptr);
    (void)ll_consumer_open(station, nullptr, &consumer, nullptr);
  }
  // One published and one claimed, each with a key.
  bool publish_two() const {
    ll_publish_options options = LL_PUBLISH_OPTIONS;
    options.key = ll_text_of("AAPL");
    ll_slot slot;
    return ll_producer_publish(producer, "tick", 4, &options, nullptr, nullptr) == LL_OK &&
           ll_producer_claim(producer, 100, &options, &slot, nullptr) == LL_OK &&
           ll_producer_commit(producer, &slot, nullptr) == LL_OK;
  }
  // How many messages were there.
  uint64_t read_all() const {
    const ll_message* messages[LL_RUN_MAX];
    uint64_t sum = 0;
    for (size_t count = 1; count != 0; sum += count) {
      const bool done =
          ll_consumer_read(consumer, messages, LL_RUN_MAX, &count, nullptr) == LL_OK &&
          ll_consumer_release(consumer, nullptr) == LL_OK;
      if (!done) return sum;
    }
    return sum;
  }
};

TEST_F(QuietPath, GoesThroughTheCInterfaceWithoutTheKernel) {
  expect_quiet(counted([&] {
    return [c = CHandles(instance_.folder().c_str())](int batches) {
      uint64_t messages = 0;
      for (int batch = 0; batch < batches; ++batch) {
        for (int count = 0; count < batch_messages; count += 2) {
          if (!c.publish_two()) return messages;
        }
        messages += c.read_all();
      }
      return messages;
    };
  }));
}

}  // namespace
}  // namespace loopline

#endif
