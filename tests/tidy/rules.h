// Rules: what the tidy test asks of every file, each a function from text to findings.
//
// A rule looks at one file, unless it speaks about how files belong together: then it takes the
// tree. They see form only; whether a comment is true stays with the reader.
#pragma once

#include "source.h"

namespace loopline::tidy {

// form.cc
Findings check_first_line(const File& file);   // opens with a sentence on what the file gives
Findings check_width(const File& file);        // no line over 100 columns
Findings check_file_size(const File& file);    // at most 500 lines, tests 800
Findings check_words(const File& file);        // no unfinished business, no path of one machine
Findings check_macro_names(const File& file);  // ours start with LL_

// functions.cc
Findings check_function_size(const File& file);  // at most 70 lines

// layers.cc
Findings check_layers(const File& file);  // shm <- io <- net <- runtime <- tools

// atomics.cc
Findings check_atomics(
    const File& file);  // each names its order, and an edge or why relaxed is enough
Findings check_edges(const Tree& tree);  // each edge has a release side and an acquire side

// documents.cc
Findings check_documents(const Tree& tree);  // each folder's README lists its files, and only those

Findings check_file(const File& file);
Findings check_tree(const Tree& tree);

}  // namespace loopline::tidy
