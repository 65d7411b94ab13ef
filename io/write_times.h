// WriteTimes: how long the newest writes of one log took, and how long the oldest one in flight has
// been under way; what tells a slow disk from a busy producer.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace loopline::io {

class WriteTimes {
 public:
  // Times are monotonic. The flusher's thread only.
  void begin(uint64_t token, uint64_t now_ns) { in_flight_.push_back({token, now_ns}); }
  void end(uint64_t token, uint64_t now_ns) {
    const auto found = std::find_if(in_flight_.begin(), in_flight_.end(),
                                    [&](const Write& write) { return write.token == token; });
    if (found == in_flight_.end()) return;
    took_us_[count_++ % took_us_.size()] =
        static_cast<uint32_t>(std::min<uint64_t>((now_ns - found->began_ns) / 1000, ~0u));
    in_flight_.erase(found);
  }

  struct Picture {
    uint64_t count = 0;  // writes that the next two are of: the newest ones
    uint64_t p50_ns = 0;
    uint64_t p99_ns = 0;
    uint64_t oldest_ns = 0;  // in flight; 0: none is
  };
  // Cheap for a log that wrote nothing since the last one.
  Picture picture(uint64_t now_ns) {
    if (counted_ != count_) count_anew();
    Picture picture = known_;
    for (const Write& write : in_flight_) {
      picture.oldest_ns = std::max(picture.oldest_ns, now_ns - std::min(now_ns, write.began_ns));
    }
    return picture;
  }

 private:
  struct Write {
    uint64_t token;
    uint64_t began_ns;
  };

  void count_anew() {
    auto took = took_us_;
    const size_t count = std::min<uint64_t>(count_, took.size());
    const auto nth_ns = [&](size_t percent) {
      const auto nth = took.begin() + static_cast<ptrdiff_t>((count - 1) * percent / 100);
      std::nth_element(took.begin(), nth, took.begin() + static_cast<ptrdiff_t>(count));
      return uint64_t{*nth} * 1000;
    };
    known_ = {count, nth_ns(50), nth_ns(99), 0};
    counted_ = count_;
  }

  std::vector<Write> in_flight_;         // a few
  std::array<uint32_t, 256> took_us_{};  // the newest, in any order
  uint64_t count_ = 0;                   // ever
  uint64_t counted_ = 0;                 // of these, in known_
  Picture known_;
};

}  // namespace loopline::io
