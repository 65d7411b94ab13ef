// looplined: the broker as a program; all of it is in looplined.h and broker.h.
#include "looplined.h"

int main(int count, char** words) {
  return loopline::broker::looplined({words + 1, words + count});
}
