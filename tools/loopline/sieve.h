// Sieve: which payloads are printed, by a regular expression (RE2: linear in time, bounded in
// memory, whatever the pattern; regcomp crashed on nested repetitions).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "shm/base/result.h"

namespace re2 {
class RE2;
}

namespace loopline::cli {

class Sieve {
 public:
  // Lets all through when `pattern` is empty.
  static Result<Sieve> make(const std::string& pattern);
  Sieve(Sieve&&) noexcept;
  ~Sieve();

  bool lets_through(std::string_view payload) const;

 private:
  Sieve();
  std::unique_ptr<re2::RE2> expression_;
};

}  // namespace loopline::cli
