// Result: holds a value or a fault, passes faults up, and traps when asked for what it has not.
#include "shm/base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>

namespace loopline {
namespace {

Fault no_station() { return {FaultCode::not_found, "there is no station \"orders\""}; }

Result<int> half_of(int number) {
  if (number % 2 != 0) return Fault(FaultCode::invalid_argument, "odd");
  return number / 2;
}

Result<int> quarter_of(int number) {
  LL_TRY(half, half_of(number));
  LL_TRY(quarter, half_of(half));
  return quarter;
}

Status check_even(int number) {
  LL_TRY_STATUS(Status(half_of(number) ? ok() : Status(no_station())));
  return ok();
}

TEST(Result, HoldsAValue) {
  Result<std::string> result(std::string("orders"));
  ASSERT_TRUE(result);
  EXPECT_EQ(*result, "orders");
  EXPECT_EQ(result->size(), 6u);
  result.value() += "!";
  EXPECT_EQ(result.value(), "orders!");
}

TEST(Result, HoldsTheFaultThatStandsInItsWay) {
  const Result<int> result(no_station());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.fault().code(), FaultCode::not_found);
  EXPECT_EQ(result.fault().message(), "there is no station \"orders\"");
}

TEST(Result, CarriesValuesThatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> moved = std::move(*result);
  EXPECT_EQ(*moved, 7);
}

TEST(Result, GoesOnWithTheValueOrReturnsTheFault) {
  ASSERT_TRUE(quarter_of(12));
  EXPECT_EQ(*quarter_of(12), 3);
  EXPECT_EQ(quarter_of(7).fault().message(), "odd");
  EXPECT_EQ(quarter_of(6).fault().message(), "odd");
}

TEST(Result, PassesUpTheFaultOfAStepWithoutValue) {
  EXPECT_TRUE(check_even(2));
  EXPECT_EQ(check_even(3).fault().code(), FaultCode::not_found);
}

TEST(ResultDeathTest, TrapsWhenAFaultIsAskedForItsValue) {
  Result<int> result(no_station());
  EXPECT_DEATH(static_cast<void>(result.value()), "broken invariant");
}

TEST(ResultDeathTest, TrapsWhenAValueIsAskedForItsFault) {
  Result<int> result(1);
  EXPECT_DEATH(static_cast<void>(result.fault()), "broken invariant");
}

TEST(Fault, NamesEveryCodeInOneWord) {
  for (int code = 0; code <= static_cast<int>(FaultCode::io_error); ++code) {
    const std::string name = name_of(static_cast<FaultCode>(code));
    EXPECT_NE(name, "unknown") << code;
    EXPECT_EQ(name.find(' '), std::string::npos);
  }
}

TEST(Fault, TakesItsCodeFromErrno) {
  const std::string what = "cannot open ring file";
  EXPECT_EQ(fault_from_errno(ENOENT, what).code(), FaultCode::not_found);
  EXPECT_EQ(fault_from_errno(EEXIST, what).code(), FaultCode::already_exists);
  EXPECT_EQ(fault_from_errno(EACCES, what).code(), FaultCode::no_permission);
  EXPECT_EQ(fault_from_errno(ENOSPC, what).code(), FaultCode::no_space);
  EXPECT_EQ(fault_from_errno(EPIPE, what).code(), FaultCode::io_error);
  EXPECT_EQ(fault_from_errno(ENOENT, what).message(),
            "cannot open ring file: No such file or directory");
}

}  // namespace
}  // namespace loopline
