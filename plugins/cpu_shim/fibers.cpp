#include "fibers.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define GCPOSE_ASAN 1
#else
#define GCPOSE_ASAN 0
#endif

namespace gcpose {
namespace shim {

thread_local Place place;

namespace {

constexpr size_t kStackBytes = GCPOSE_ASAN ? 512 * 1024 : 128 * 1024;
constexpr unsigned char kGarbage = 0xff;  // a NaN in every floating-point type, -1 in integers

enum class State : unsigned char { kReady, kWaitsForBlock, kWaitsForWarp, kEnded };

// A stack with an unmapped page below it, so that an overflow stops the program instead of writing elsewhere.
class Stack {
public:
    Stack()
    {
        guard_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        memory_ = mmap(nullptr, guard_ + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED || mprotect(memory_, guard_, PROT_NONE) != 0) {
            std::fputs("gcpose cpu shim: out of memory for fiber stacks\n", stderr);
            std::abort();
        }
    }
    ~Stack() { munmap(memory_, guard_ + kStackBytes); }
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    void* bottom() const { return static_cast<char*>(memory_) + guard_; }

private:
    void* memory_;
    size_t guard_;
};

struct Fiber {
    std::unique_ptr<Stack> stack;
    ucontext_t context;
    jmp_buf resume_point;
    void* fake_stack = nullptr;
    bool started = false;
    State state = State::kEnded;
    uint32_t mask = 0;
    Place place;
};

struct Warp {
    uint64_t slots[kWarpSize];
};

// The blocks that one CPU thread runs. Stacks are kept from launch to launch.
struct Scheduler {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    std::vector<uint64_t> shared;
    ucontext_t main_context;
    jmp_buf main_point;
    void* main_fake_stack = nullptr;
    const void* main_bottom = nullptr;
    size_t main_bytes = 0;
    unsigned threads = 0;
    unsigned running = 0;
    const std::function<void()>* body = nullptr;
};

thread_local Scheduler scheduler;

void enterFiber();

// makecontext and swapcontext start a fiber; later switches use _setjmp and _longjmp, which make no system calls.
// AddressSanitizer follows stacks through its own calls and does not take jumps between them, so there it is
// swapcontext each time.
void switchTo(Fiber& fiber)
{
#if GCPOSE_ASAN
    __sanitizer_start_switch_fiber(&scheduler.main_fake_stack, fiber.stack->bottom(), kStackBytes);
    if (!fiber.started) {
        fiber.started = true;
    }
    swapcontext(&scheduler.main_context, &fiber.context);
    __sanitizer_finish_switch_fiber(scheduler.main_fake_stack, nullptr, nullptr);
#else
    if (_setjmp(scheduler.main_point) == 0) {
        if (fiber.started) {
            _longjmp(fiber.resume_point, 1);
        }
        fiber.started = true;
        setcontext(&fiber.context);
    }
#endif
}

void switchToMain(Fiber& fiber)
{
#if GCPOSE_ASAN
    const bool ends = fiber.state == State::kEnded;
    __sanitizer_start_switch_fiber(ends ? nullptr : &fiber.fake_stack, scheduler.main_bottom, scheduler.main_bytes);
    swapcontext(&fiber.context, &scheduler.main_context);
    __sanitizer_finish_switch_fiber(fiber.fake_stack, &scheduler.main_bottom, &scheduler.main_bytes);
#else
    if (_setjmp(fiber.resume_point) == 0) {
        _longjmp(scheduler.main_point, 1);
    }
#endif
}

void enterFiber()
{
#if GCPOSE_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &scheduler.main_bottom, &scheduler.main_bytes);
#endif
    (*scheduler.body)();
    Fiber& fiber = scheduler.fibers[scheduler.running];
    fiber.state = State::kEnded;
    switchToMain(fiber);
}

void prepare(Fiber& fiber, const Place& where)
{
    if (!fiber.stack) {
        fiber.stack = std::make_unique<Stack>();
    }
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack->bottom();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enterFiber, 0);
    fiber.started = false;
    fiber.state = State::kReady;
    fiber.place = where;
}

unsigned warpEnd(unsigned first)
{
    return first + kWarpSize < scheduler.threads ? first + kWarpSize : scheduler.threads;
}

// Wakes the lanes of a warp that wait for one another, if all of them have come.
bool wakeWarp(unsigned first)
{
    const unsigned end = warpEnd(first);
    bool woke = false;
    for (unsigned t = first; t < end; ++t) {
        Fiber& fiber = scheduler.fibers[t];
        if (fiber.state != State::kWaitsForWarp) {
            continue;
        }
        const uint32_t mask = fiber.mask;
        bool complete = true;
        for (unsigned other = first; other < end; ++other) {
            const Fiber& candidate = scheduler.fibers[other];
            const bool named = (mask >> (other - first)) & 1u;
            const bool here = candidate.state == State::kWaitsForWarp && candidate.mask == mask;
            complete = complete && (!named || here || candidate.state == State::kEnded);
        }
        if (!complete) {
            continue;
        }
        for (unsigned other = first; other < end; ++other) {
            Fiber& candidate = scheduler.fibers[other];
            if (candidate.state == State::kWaitsForWarp && candidate.mask == mask) {
                candidate.state = State::kReady;
            }
        }
        woke = true;
    }
    return woke;
}

// Wakes whoever may go on when no fiber is ready. Returns false when all have ended.
bool wake()
{
    bool woke = false, all_at_barrier = true, any = false;
    for (unsigned first = 0; first < scheduler.threads; first += kWarpSize) {
        woke = wakeWarp(first) || woke;
    }
    if (woke) {
        return true;
    }
    for (unsigned t = 0; t < scheduler.threads; ++t) {
        const State state = scheduler.fibers[t].state;
        any = any || state != State::kEnded;
        all_at_barrier = all_at_barrier && (state == State::kEnded || state == State::kWaitsForBlock);
    }
    if (!any) {
        return false;
    }
    if (!all_at_barrier) {
        std::fputs("gcpose cpu shim: threads wait at different barriers, a GPU would hang here\n", stderr);
        std::abort();
    }
    for (unsigned t = 0; t < scheduler.threads; ++t) {
        Fiber& fiber = scheduler.fibers[t];
        fiber.state = fiber.state == State::kEnded ? State::kEnded : State::kReady;
    }
    return true;
}

void runBlock()
{
    do {
        for (unsigned t = 0; t < scheduler.threads; ++t) {
            Fiber& fiber = scheduler.fibers[t];
            if (fiber.state == State::kReady) {
                scheduler.running = t;
                place = fiber.place;
                switchTo(fiber);
            }
        }
    } while (wake());
}

void wait(State state, uint32_t mask)
{
    Fiber& fiber = scheduler.fibers[scheduler.running];
    fiber.state = state;
    fiber.mask = mask;
    switchToMain(fiber);
}

bool fits(Extent grid, Extent block, size_t shared_bytes)
{
    const uint64_t threads = uint64_t{block.x} * block.y * block.z;
    const bool grid_fits = grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1
        && grid.z <= 65535;
    return grid_fits && threads >= 1 && threads <= kMostThreads && block.z <= 64 && shared_bytes <= kSharedMemoryLimit;
}

}  // namespace

bool runGrid(Extent grid, Extent block, size_t shared_bytes, const std::function<void()>& body)
{
    if (!fits(grid, block, shared_bytes)) {
        return false;
    }
    const Place outer = place;
    scheduler.threads = block.x * block.y * block.z;
    scheduler.body = &body;
    if (scheduler.fibers.size() < scheduler.threads) {
        scheduler.fibers.resize(scheduler.threads);
    }
    scheduler.warps.resize((scheduler.threads + kWarpSize - 1) / kWarpSize);
    scheduler.shared.resize(shared_bytes / sizeof(uint64_t) + 4);
    for (unsigned z = 0; z < grid.z; ++z) {
        for (unsigned y = 0; y < grid.y; ++y) {
            for (unsigned x = 0; x < grid.x; ++x) {
                std::memset(scheduler.shared.data(), kGarbage, scheduler.shared.size() * sizeof(uint64_t));
                for (unsigned t = 0; t < scheduler.threads; ++t) {
                    const Extent thread{t % block.x, t / block.x % block.y, t / block.x / block.y};
                    prepare(scheduler.fibers[t], Place{thread, {x, y, z}, block, grid});
                }
                runBlock();
            }
        }
    }
    place = outer;
    return true;
}

void* dynamicShared()
{
    const auto address = reinterpret_cast<uintptr_t>(scheduler.shared.data());
    return reinterpret_cast<void*>((address + 15) & ~uintptr_t{15});
}

void waitForBlock()
{
    wait(State::kWaitsForBlock, 0);
}

void waitForWarp(uint32_t mask)
{
    wait(State::kWaitsForWarp, mask);
}

uint64_t* warpSlots()
{
    return scheduler.warps[scheduler.running / kWarpSize].slots;
}

unsigned lane()
{
    return scheduler.running % kWarpSize;
}

bool laneIsLive(unsigned lane)
{
    const unsigned thread = scheduler.running / kWarpSize * kWarpSize + lane;
    return thread < scheduler.threads && scheduler.fibers[thread].state != State::kEnded;
}

}  // namespace shim
}  // namespace gcpose
