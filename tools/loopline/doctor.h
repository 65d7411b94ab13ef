// Doctor: the checks, each a function that looks and answers with what it found.
#pragma once

#include <string>
#include <vector>

#include "finding.h"
#include "shm/directory.h"

namespace loopline::cli {

// The machine: shared memory, limits, kernel, clock. `root` is the folder instances are made in.
std::vector<Finding> check_machine(const std::string& root);
// Its kernel and processors alone.
void check_kernel(std::vector<Finding>& findings);

struct DoctorRights {
  bool fix = false;  // do what is safe
  bool yes = false;  // also remove what holds messages
};
// The rings of an instance, and what lies beside them.
void check_instance(const std::string& dir, const DoctorRights& rights,
                    std::vector<Finding>& findings);

}  // namespace loopline::cli
