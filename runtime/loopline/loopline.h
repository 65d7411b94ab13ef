// Loopline: everything a program needs to exchange messages through a station.
//
//   #include <loopline/loopline.h>
//   auto station  = loopline::Station::open_or_create("orders", {.ring = 8_MiB});
//   auto producer = station->producer();
//   producer->publish(bytes, {.key = "AAPL"});
//   auto consumer = station->consumer({.from = loopline::From::earliest});
//   consumer->poll([](const loopline::Message& message) { handle(message); });
#pragma once

#include <loopline/consumer.h>
#include <loopline/factory.h>
#include <loopline/message.h>
#include <loopline/producer.h>
#include <loopline/station.h>
