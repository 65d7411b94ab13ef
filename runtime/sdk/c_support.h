// C support: what the C functions share, the handles, faults as statuses, options of any size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "loopline/c.h"
#include "loopline/station.h"

struct ll_station {
  loopline::Station station;
};

namespace loopline::c {

// FaultCode counts from 0, ll_status keeps 0 for good.
constexpr ll_status status_of(FaultCode code) {
  return static_cast<ll_status>(static_cast<int>(code) + 1);
}
static_assert(status_of(FaultCode::invalid_argument) == LL_INVALID_ARGUMENT);
static_assert(status_of(FaultCode::full) == LL_FULL);
static_assert(status_of(FaultCode::corrupted) == LL_CORRUPTED);
static_assert(status_of(FaultCode::io_error) == LL_IO_ERROR);

// Both into `*error`, unless it is NULL; answers the status.
ll_status report(ll_status status, const char* message, ll_error* error);
ll_status report(const Fault& fault, ll_error* error);

// The status of `step`, a function that returns a Status or throws for want of memory: nothing
// leaves C code as an exception.
template <class Step>
ll_status run(ll_error* error, Step&& step) {
  try {
    const Status done = step();
    return done ? LL_OK : report(done.fault(), error);
  } catch (const std::bad_alloc&) {
    return report(LL_NO_SPACE, "the process is out of memory", error);
  } catch (const std::exception& exception) {
    return report(LL_IO_ERROR, exception.what(), error);
  }
}

// Refuses a NULL, `what` being the argument's name and where such a thing comes from.
inline Status need(const void* pointer, const char* what) {
  if (pointer != nullptr) [[likely]]
    return ok();
  return Fault(FaultCode::invalid_argument, std::string(what) + ", and is NULL");
}

inline Fault unknown_option(const char* name, uint64_t value) {
  return {FaultCode::invalid_argument, std::string("there is no ") + name + " " +
                                           std::to_string(value) +
                                           "; see the constants of loopline/c.h"};
}

inline std::string_view folder(const char* dir) { return dir == nullptr ? "" : dir; }
// NULL: nothing is asked for.
Result<StationOptions> station_options(const ll_station_options* given);

inline Result<std::chrono::nanoseconds> timeout_of(int64_t timeout_ns) {
  if (timeout_ns < LL_FOR_EVER) {
    return Fault(FaultCode::invalid_argument, "timeout_ns must be 0 or more, or LL_FOR_EVER");
  }
  return timeout_ns == LL_FOR_EVER ? forever : std::chrono::nanoseconds(timeout_ns);
}

constexpr size_t options_size_max = 4096;  // more is no size, but memory nobody set

// `known` with the fields that the program gave. A program that is newer than the library may give
// more; only when it asks for something there, it is refused.
template <class Options>
Status take(const Options* given, Options& known) {
  if (given == nullptr) return ok();
  if (given->size < sizeof given->size || given->size > options_size_max) {
    return Fault(FaultCode::invalid_argument,
                 "the size of the options is not set: begin with LL_..._OPTIONS");
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(given);
  const size_t size = std::min(given->size, sizeof known);
  if (std::any_of(bytes + size, bytes + given->size,
                  [](std::byte b) { return b != std::byte{0}; })) {
    return Fault(FaultCode::unsupported,
                 "the program asks for an option that this version of the library does not know; "
                 "install a newer libloopline");
  }
  std::memcpy(static_cast<void*>(&known), given, size);
  return ok();
}

inline Result<std::string_view> text_of(const ll_text& text, const char* name) {
  if (text.data == nullptr && text.size != 0) {
    return Fault(FaultCode::invalid_argument,
                 std::string(name) + " is NULL with a size of " + std::to_string(text.size));
  }
  return std::string_view(text.data, text.size);
}

inline ll_text text_to_c(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace loopline::c
