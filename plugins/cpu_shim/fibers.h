// SPDX-License-Identifier: Apache-2.0
// CUDA threads as fibers: the threads of one block take turns in one OS thread, changing only where they wait for each
// other. That makes every run the same, and lets the address sanitizer watch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <vector>

#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline uint3 threadIdx{};
inline uint3 blockIdx{};
inline dim3 blockDim{};
inline dim3 gridDim{};

namespace gcpose {
namespace shim {

constexpr unsigned kWarp = 32;

// Threads that wait for each other. `passed` counts how often all have met; values are kept for two meetings, since a
// thread may reach the next one before the others have read what was left at this one.
struct Meeting {
    uint32_t arrived = 0;
    uint32_t passed = 0;
    uint64_t values[2][kWarp] = {};
};

struct Warp {
    uint32_t alive = 0;
    std::map<uint32_t, Meeting> meetings;  // by mask: parts of a warp may meet on their own
};

struct Fiber {
    ucontext_t context{};
    void* stack = nullptr;
    void* fake_stack = nullptr;
    bool finished = false;
    const uint32_t* waits_for = nullptr;  // blocked while this still holds `seen`
    uint32_t seen = 0;
};

// The threads of a block. One object serves all blocks of a launch.
class Block {
public:
    Block(dim3 size, std::function<void()> body)
        : mSize(size), mBody(std::move(body)), mFibers(size.x * size.y * size.z), mWarps((mFibers.size() + 31) / kWarp)
    {
        for (Fiber& fiber : mFibers) {
            prepare(fiber);
        }
    }

    ~Block()
    {
        for (Fiber& fiber : mFibers) {
            munmap(fiber.stack, kStack);
        }
    }

    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    static Block*& current()
    {
        static Block* block = nullptr;
        return block;
    }

    // Runs one block to its end.
    void run()
    {
        mAlive = static_cast<unsigned>(mFibers.size());
        mBarrier = Meeting{};
        for (unsigned warp = 0; warp < mWarps.size(); ++warp) {
            const unsigned lanes = mAlive - warp * kWarp < kWarp ? mAlive - warp * kWarp : kWarp;
            mWarps[warp].alive = lanes == kWarp ? 0xFFFFFFFFU : (1U << lanes) - 1U;
            mWarps[warp].meetings.clear();
        }
        for (Fiber& fiber : mFibers) {
            fiber.finished = false;
            fiber.waits_for = nullptr;
        }
        current() = this;
        while (mAlive > 0) {
            bool moved = false;
            for (unsigned i = 0; i < mFibers.size(); ++i) {
                Fiber& fiber = mFibers[i];
                if (!fiber.finished && (fiber.waits_for == nullptr || *fiber.waits_for != fiber.seen)) {
                    moved = true;
                    fiber.waits_for = nullptr;
                    resume(i);
                }
            }
            if (!moved) {
                fail("the threads of a block wait for each other for ever");
            }
        }
        current() = nullptr;
    }

    // __syncthreads
    void meetBlock()
    {
        const uint32_t seen = mBarrier.passed;
        ++mBarrier.arrived;
        if (!passBarrier()) {
            wait(mBarrier.passed, seen);
        }
    }

    // Leaves `value` for the lanes of `mask` and returns what they all left, by lane.
    const uint64_t* meetWarp(uint32_t mask, uint64_t value)
    {
        Warp& warp = mWarps[mRunning / kWarp];
        const unsigned lane = mRunning % kWarp;
        if ((mask >> lane & 1U) == 0) {
            fail("a thread takes part in a warp operation whose mask leaves it out");
        }
        Meeting& meeting = warp.meetings[mask];
        const uint32_t seen = meeting.passed;
        meeting.values[seen & 1U][lane] = value;
        meeting.arrived |= 1U << lane;
        if (!passWarp(warp, mask, meeting)) {
            wait(meeting.passed, seen);
        }
        return meeting.values[seen & 1U];
    }

    unsigned lane() const { return mRunning % kWarp; }

    // Lanes of the running thread's warp that have not returned.
    uint32_t aliveLanes() const { return mWarps[mRunning / kWarp].alive; }

private:
    static constexpr size_t kStack = 256 * 1024;

    [[noreturn]] static void fail(const char* message)
    {
        std::fprintf(stderr, "gcpose CPU shim: %s\n", message);
        std::abort();
    }

    static void prepare(Fiber& fiber)
    {
        fiber.stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (fiber.stack == MAP_FAILED || getcontext(&fiber.context) != 0) {
            fail("no memory for the stacks of a block's threads");
        }
        fiber.context.uc_stack.ss_sp = fiber.stack;
        fiber.context.uc_stack.ss_size = kStack;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, &Block::enter, 0);
    }

    bool passBarrier()
    {
        if (mBarrier.arrived < mAlive || mBarrier.arrived == 0) {
            return false;
        }
        mBarrier.arrived = 0;
        ++mBarrier.passed;
        return true;
    }

    // Lanes that have returned are not waited for, as on the GPU.
    static bool passWarp(const Warp& warp, uint32_t mask, Meeting& meeting)
    {
        if (meeting.arrived == 0 || (meeting.arrived & warp.alive) != (mask & warp.alive)) {
            return false;
        }
        meeting.arrived = 0;
        ++meeting.passed;
        return true;
    }

    void wait(const uint32_t& passed, uint32_t seen)
    {
        mFibers[mRunning].waits_for = &passed;
        mFibers[mRunning].seen = seen;
        leave();
    }

    void finish()
    {
        Fiber& fiber = mFibers[mRunning];
        Warp& warp = mWarps[mRunning / kWarp];
        fiber.finished = true;
        --mAlive;
        warp.alive &= ~(1U << (mRunning % kWarp));
        for (auto& entry : warp.meetings) {
            passWarp(warp, entry.first, entry.second);
        }
        passBarrier();
        leave();
    }

    // A fiber stays for the whole launch: after one block it goes on with the next.
    static void enter()
    {
        current()->arrive(nullptr);
        while (true) {
            current()->mBody();
            current()->finish();
        }
    }

    void resume(unsigned index)
    {
        mRunning = index;
        threadIdx = uint3{index % mSize.x, index / mSize.x % mSize.y, index / mSize.x / mSize.y};
        Fiber& fiber = mFibers[index];
#if defined(__SANITIZE_ADDRESS__)
        void* fake_stack = nullptr;
        __sanitizer_start_switch_fiber(&fake_stack, fiber.stack, kStack);
        swapcontext(&mScheduler, &fiber.context);
        __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#else
        swapcontext(&mScheduler, &fiber.context);
#endif
    }

    void leave()
    {
        Fiber& fiber = mFibers[mRunning];
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(&fiber.fake_stack, mSchedulerStack, mSchedulerStackSize);
#endif
        swapcontext(&fiber.context, &mScheduler);
        current()->arrive(fiber.fake_stack);
    }

    void arrive([[maybe_unused]] void* fake_stack)
    {
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake_stack, &mSchedulerStack, &mSchedulerStackSize);
#endif
    }

    dim3 mSize;
    std::function<void()> mBody;
    std::vector<Fiber> mFibers;
    std::vector<Warp> mWarps;
    Meeting mBarrier;
    unsigned mAlive = 0;
    unsigned mRunning = 0;
    ucontext_t mScheduler{};
    const void* mSchedulerStack = nullptr;
    size_t mSchedulerStackSize = 0;
};

}  // namespace shim
}  // namespace gcpose
