// Extension: what is put in comes out, to the byte, and foreign bytes are refused.
#include "shm/extension.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/must.h"

namespace loopline::shm {
namespace {

using test::code_of;
using test::must;

std::vector<std::byte> written(const ExtensionFields& fields) {
  std::vector<std::byte> bytes(must(extension_size(fields)));
  write_extension(fields, static_cast<uint32_t>(bytes.size()), bytes.data());
  return bytes;
}

std::vector<std::byte> bytes_of(const std::vector<int>& values) {
  std::vector<std::byte> bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

const Header some_headers[] = {{"content-type", "text/plain"}, {"empty", ""}, {"", "nameless"}};

ExtensionFields everything() {
  ExtensionFields fields;
  fields.producer = {0x1111222233334444, 77, 5};
  fields.deliver_at_ns = 1234567890123;
  fields.id = "message-1";
  fields.key = "AAPL";
  fields.headers = some_headers;
  return fields;
}

TEST(Extension, OfNothingTakesNoBytes) {
  EXPECT_TRUE(ExtensionFields{}.empty());
  EXPECT_EQ(must(extension_size({})), 0u);
}

TEST(Extension, LaysOutAKeyAsWrittenDown) {
  ExtensionFields fields;
  fields.key = "AAPL";
  EXPECT_EQ(written(fields), bytes_of({16, 0, 0, 0, 8, 0, 0, 0,            // 16 bytes, a key
                                       4, 0, 'A', 'A', 'P', 'L', 0, 0}));  // padded
}

TEST(Extension, LaysOutAProducerAsWrittenDown) {
  ExtensionFields fields;
  fields.producer = {0x0102030405060708, 9, 3};
  EXPECT_EQ(written(fields), bytes_of({32, 0, 0, 0, 1, 0, 0, 0,     //
                                       8,  7, 6, 5, 4, 3, 2, 1,     // id
                                       9,  0, 0, 0, 0, 0, 0, 0,     // sequence
                                       3,  0, 0, 0, 0, 0, 0, 0}));  // epoch
}

TEST(Extension, GivesBackEverythingThatWasPutIn) {
  const auto bytes = written(everything());
  EXPECT_EQ(bytes.size() % extension_alignment, 0u);
  const auto view = ExtensionView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->size(), bytes.size());
  ASSERT_TRUE(view->producer());
  EXPECT_EQ(view->producer()->id, 0x1111222233334444u);
  EXPECT_EQ(view->producer()->sequence, 77u);
  EXPECT_EQ(view->producer()->epoch, 5u);
  EXPECT_EQ(view->deliver_at_ns(), 1234567890123u);
  EXPECT_EQ(view->id(), "message-1");
  EXPECT_EQ(view->key(), "AAPL");
  ASSERT_EQ(view->header_count(), 3u);
  for (uint32_t index = 0; index < 3; ++index) {
    EXPECT_EQ(view->header(index).name, some_headers[index].name);
    EXPECT_EQ(view->header(index).value, some_headers[index].value);
  }
  EXPECT_TRUE(view->header(3).name.empty());
}

TEST(Extension, GivesBackEachFieldAlone) {
  for (int field = 0; field < 5; ++field) {
    ExtensionFields fields;
    const ExtensionFields all = everything();
    if (field == 0) fields.producer = all.producer;
    if (field == 1) fields.deliver_at_ns = all.deliver_at_ns;
    if (field == 2) fields.id = all.id;
    if (field == 3) fields.key = all.key;
    if (field == 4) fields.headers = all.headers;
    const auto bytes = written(fields);
    const auto view = ExtensionView::parse(bytes);
    ASSERT_TRUE(view) << field;
    EXPECT_EQ(view->producer().has_value(), field == 0);
    EXPECT_EQ(view->deliver_at_ns().has_value(), field == 1);
    EXPECT_EQ(!view->id().empty(), field == 2);
    EXPECT_EQ(!view->key().empty(), field == 3);
    EXPECT_EQ(view->header_count() != 0, field == 4);
  }
}

TEST(Extension, StopsWhereThePayloadBegins) {
  auto bytes = written(everything());
  const size_t size = bytes.size();
  bytes.resize(size + 100, std::byte{0xff});
  const auto view = ExtensionView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->size(), size);
}

TEST(Extension, TakesTextsOfTheirGreatestLength) {
  const std::string text(extension_text_max, 'k');
  ExtensionFields fields;
  fields.key = text;
  fields.id = text;
  const auto bytes = written(fields);
  const auto view = ExtensionView::parse(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->key(), text);
  EXPECT_EQ(view->id(), text);
}

TEST(Extension, RefusesTextsThatAreLongerAndSaysWhichAndHowLong) {
  const std::string text(extension_text_max + 1, 'k');
  ExtensionFields key, id, header;
  key.key = text;
  id.id = text;
  const Header one{text, ""};
  header.headers = {&one, 1};
  for (const auto& [fields, what] : {std::pair{key, "key"}, {id, "id"}, {header, "header"}}) {
    const auto refused = extension_size(fields);
    ASSERT_EQ(code_of(refused), FaultCode::invalid_argument);
    EXPECT_NE(refused.fault().message().find(what), std::string::npos);
    EXPECT_NE(refused.fault().message().find("65536"), std::string::npos);
  }
}

TEST(Extension, RefusesTooManyHeaders) {
  const std::vector<Header> many(extension_headers_max + 1, Header{"n", "v"});
  ExtensionFields fields;
  fields.headers = many;
  EXPECT_EQ(code_of(extension_size(fields)), FaultCode::invalid_argument);
  fields.headers = std::span(many).first(extension_headers_max);
  const auto bytes = written(fields);
  EXPECT_EQ(ExtensionView::parse(bytes)->header_count(), extension_headers_max);
}

TEST(Extension, IsRefusedWhenAnyOfItsBytesAreMissing) {
  const auto bytes = written(everything());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ExtensionView::parse(std::span(bytes).first(size))) << size;
  }
}

TEST(Extension, IsRefusedWhenItsSizeCannotBe) {
  for (const uint32_t size : {0u, 1u, 7u, 15u, 17u, 4096u, ~0u, ~0u - 15}) {
    auto bytes = written(everything());
    std::memcpy(bytes.data(), &size, sizeof size);
    EXPECT_FALSE(ExtensionView::parse(bytes)) << size;
  }
}

TEST(Extension, IsRefusedWhenItHasFieldsNobodyKnows) {
  auto bytes = written(everything());
  bytes[4] |= std::byte{32};
  EXPECT_FALSE(ExtensionView::parse(bytes));
}

TEST(Extension, IsRefusedWhenATextEndsBehindIt) {
  ExtensionFields fields;
  fields.key = "AAPL";
  auto bytes = written(fields);
  bytes[8] = std::byte{7};  // 16 - 8 - 2 are 6
  bytes.resize(64);
  EXPECT_FALSE(ExtensionView::parse(bytes));
}

TEST(Extension, IsRefusedWhenItHasFewerHeadersThanItSays) {
  ExtensionFields fields;
  fields.headers = some_headers;
  auto bytes = written(fields);
  bytes[8] = std::byte{0xff};
  bytes[9] = std::byte{0xff};
  EXPECT_FALSE(ExtensionView::parse(bytes));
}

TEST(Extension, IsRefusedWithMoreHeadersThanAnybodyMayWrite) {
  const std::vector<Header> headers(extension_headers_max);
  ExtensionFields fields;
  fields.headers = headers;
  auto bytes = written(fields);
  bytes.resize(bytes.size() + extension_alignment);  // room for two more
  bytes[0] = static_cast<std::byte>(bytes.size() & 0xff);
  bytes[1] = static_cast<std::byte>(bytes.size() >> 8);
  EXPECT_TRUE(ExtensionView::parse(bytes));
  bytes[8] = std::byte{1};  // 1025
  EXPECT_FALSE(ExtensionView::parse(bytes));
}

TEST(Extension, SurvivesEveryFlippedBit) {
  const auto good = written(everything());
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    auto bytes = good;
    bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    const auto view = ExtensionView::parse(bytes);
    if (!view) continue;
    size_t total = view->key().size() + view->id().size();
    for (uint32_t index = 0; index < view->header_count(); ++index) {
      total += view->header(index).name.size() + view->header(index).value.size();
    }
    EXPECT_LE(total, bytes.size());
  }
}

}  // namespace
}  // namespace loopline::shm
