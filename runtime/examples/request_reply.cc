// Request and reply: questions on one station, answers on another, matched by id.
//
//   request_reply [FOLDER]   the instance; LOOPLINE_DIR and its kin if none is named
//
// Every request carries an id, every reply names it in a header: replies may come in any order, and
// any number of clients may share both stations, each picking out its own.
#include <loopline/loopline.h>

#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace loopline::literals;

namespace {

constexpr size_t questions = 3;

std::string upper(std::string_view text) {
  std::string answer(text);
  for (char& letter : answer) {
    if (letter >= 'a' && letter <= 'z') letter = static_cast<char>(letter - 'a' + 'A');
  }
  return answer;
}

// Answers as many requests as the client has; the newest first, to show that order is no matter.
loopline::Status serve(loopline::Consumer& requests, loopline::Producer& replies) {
  std::vector<std::pair<std::string, std::string>> asked;  // id, question
  while (asked.size() < questions) {
    LL_TRY_STATUS(requests.wait(loopline::forever));
    LL_TRY_STATUS(requests.poll([&](const loopline::Message& message) {
      asked.emplace_back(message.id(), message.text());
    }));
  }
  for (; !asked.empty(); asked.pop_back()) {
    const loopline::Header headers[] = {{"request", asked.back().first}};
    LL_TRY_STATUS(replies.publish(upper(asked.back().second), {.headers = headers}));
  }
  return loopline::ok();
}

loopline::Status ask(loopline::Producer& requests, loopline::Consumer& replies) {
  std::map<std::string, std::string, std::less<>> waiting;  // id to question
  for (const char* question : {"up", "down", "strange"}) {
    const std::string id = "client-7/" + std::to_string(waiting.size() + 1);
    LL_TRY_STATUS(requests.publish(question, {.id = id}));
    waiting.emplace(id, question);
  }
  while (!waiting.empty()) {
    LL_TRY_STATUS(replies.wait(loopline::forever));
    LL_TRY_STATUS(replies.poll([&](const loopline::Message& message) {
      const auto request = waiting.find(message.header(0).value);
      if (request == waiting.end()) return;  // another client's
      std::cout << request->first << ": " << request->second << " -> " << message.text() << "\n";
      waiting.erase(request);
    }));
  }
  return loopline::ok();
}

loopline::Status talk(const char* dir) {
  LL_TRY(requests, loopline::Station::open_or_create("requests", {.ring = 64_KiB}, dir));
  LL_TRY(replies, loopline::Station::open_or_create("replies", {.ring = 64_KiB}, dir));
  LL_TRY(heard, requests.consumer());
  LL_TRY(answers, replies.producer());
  LL_TRY(questions_out, requests.producer());
  LL_TRY(answers_in, replies.consumer());
  std::thread server([&] {
    if (const auto served = serve(heard, answers); !served) {
      std::cerr << served.fault().message() << "\n";
    }
  });
  const auto asked = ask(questions_out, answers_in);
  server.join();
  if (!asked) return asked.fault();
  LL_TRY_STATUS(loopline::Station::remove("requests", dir));
  return loopline::Station::remove("replies", dir);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = talk(argc > 1 ? argv[1] : "");
  if (done) return 0;
  std::cerr << done.fault().message() << "\n";
  return 1;
}
