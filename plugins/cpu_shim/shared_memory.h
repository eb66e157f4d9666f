// SPDX-License-Identifier: Apache-2.0
// Shared memory of the running block. It holds NaN patterns when a block starts, so that reading what the block did not
// write shows in the results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
// The sanitizer guards the ends of plain statics but not of those in a section of their own.
#define __shared__ static
#else
#define __shared__ static __attribute__((section("gcpose_shared")))
extern "C" {
// The linker defines these where a section has such a name.
extern unsigned char __start_gcpose_shared[] __attribute__((weak, visibility("hidden")));
extern unsigned char __stop_gcpose_shared[] __attribute__((weak, visibility("hidden")));
}
#endif

namespace gcpose {
namespace shim {

constexpr uint8_t kPoison = 0xFF;  // NaN as float and as half, -1 as an integer

inline unsigned char*& dynamicShared()
{
    static unsigned char* memory = nullptr;
    return memory;
}

inline void poisonShared(size_t dynamic_bytes)
{
    if (dynamic_bytes > 0) {
        std::memset(dynamicShared(), kPoison, dynamic_bytes);
    }
#if !defined(__SANITIZE_ADDRESS__)
    unsigned char* const begin = __start_gcpose_shared;
    if (begin != nullptr) {
        std::memset(begin, kPoison, static_cast<size_t>(__stop_gcpose_shared - begin));
    }
#endif
}

}  // namespace shim
}  // namespace gcpose

#define GCPOSE_DYNAMIC_SHARED(type, name) type* const name = reinterpret_cast<type*>(::gcpose::shim::dynamicShared())
