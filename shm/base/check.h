// Checks: a bug of ours stops the process before it can spoil memory that others map.
//
// LL_CHECK is on in every build. LL_DCHECK is for innermost loops and is on only with LL_CHECKED
// (dev and sanitizer builds). Neither is ever used on data that comes from disk, network or another
// process.
#pragma once

#include "visibility.h"

namespace loopline {

[[noreturn]] LL_EXPORT void check_failed(const char* condition, const char* file, int line);

}  // namespace loopline

#define LL_CHECK(condition)                          \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::loopline::check_failed(#condition, __FILE__, __LINE__))

#ifdef LL_CHECKED
#define LL_DCHECK(condition) LL_CHECK(condition)
#else
#define LL_DCHECK(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#endif
