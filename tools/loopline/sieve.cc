// Sieve: RE2 as extended regular expressions are read: a dot matches a newline too.
#include "sieve.h"

#include <re2/re2.h>

namespace loopline::cli {

Sieve::Sieve() = default;
Sieve::Sieve(Sieve&&) noexcept = default;
Sieve::~Sieve() = default;

Result<Sieve> Sieve::make(const std::string& pattern) {
  Sieve sieve;
  if (pattern.empty()) return sieve;
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  sieve.expression_ = std::make_unique<re2::RE2>(pattern, options);
  if (sieve.expression_->ok()) return sieve;
  return Fault(
      FaultCode::invalid_argument,
      "--grep \"" + pattern + "\" is no regular expression: " + sieve.expression_->error());
}

bool Sieve::lets_through(std::string_view payload) const {
  if (!expression_) return true;
  return re2::RE2::PartialMatch({payload.data(), payload.size()}, *expression_);
}

}  // namespace loopline::cli
