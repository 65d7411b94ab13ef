// Program: a program of the build, run as a shell runs it, with what it was told and what it said.
//
//   Outcome outcome = run({"/path/loopline", "station", "ls"});
//   Program program({"/path/loopline", "consume", "orders", "--follow"});
//   program.send(SIGINT);  program.end().status == 0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace loopline::test {

struct Outcome {
  int status = -1;  // its exit status, or 128 + the signal that ended it
  std::string out;
  std::string err;
};

class Program {
 public:
  // Starts it; the first word is its path. It dies with the test.
  explicit Program(std::vector<std::string> words);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program();

  pid_t pid() const { return pid_; }
  // Bytes for its stdin, as many as a pipe holds at once.
  void type(const std::string& text);
  void end_input();
  // Whether stdout, or stderr, has come to contain `text`.
  bool says(const std::string& text);
  void send(int signal) const;
  // Closes its end of stdout, as `head` does.
  void stop_listening();
  // Its input ended, until it is gone.
  Outcome end();

 private:
  // Takes in what is there; false when both streams have ended.
  bool listen(int timeout_ms);

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1, err_ = -1;
  Outcome outcome_;
};

// From start to end, with all of `input`.
Outcome run(std::vector<std::string> words, const std::string& input = "");

}  // namespace loopline::test
