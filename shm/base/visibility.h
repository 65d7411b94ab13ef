// Visibility: the mark of what the shared library exports; everything else stays hidden.
#pragma once

#define LL_EXPORT __attribute__((visibility("default")))
