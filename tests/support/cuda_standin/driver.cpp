// A STAND-IN for NVIDIA's driver library libcuda.so.1, for tests on machines without a GPU. It is no emulator: device
// memory is the host's, there are no kernels, and only what this project's runtime calls is here.
//
// It is stricter than a GPU where that shows faults: fresh device memory is poisoned, copies must lie inside live
// allocations and touch page-locked host memory only, calls need a current context, and work is done as late as the
// rules of streams and events allow (when somebody waits for it), so that a missing wait reads poison.
//
// Environment: GCPOSE_STANDIN_DEVICES (1), _NAME, _COMPUTE_CAPABILITY ("9.0"), _MEMORY (bytes, 1 GiB),
// _CAPTURE=refuse (stream capture fails), _EAGER=1 (work is done when it is enqueued). gcpose_standin_count() reports.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace
{
using Result = int;  // CUresult
using Pointer = unsigned long long;  // CUdeviceptr
constexpr Result kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kNotInitialized = 3;
constexpr Result kNoDevice = 100, kInvalidDevice = 101, kInvalidContext = 201, kInvalidHandle = 400, kNotFound = 500;
constexpr Result kCaptureUnsupported = 900, kCaptureInvalidated = 901;

struct Event;

struct Op
{
    std::function<void()> run;
    Event* waits = nullptr;  // this op is a wait for that event's mark ...
    uint64_t mark = 0;  // ... or for a record, the mark that it sets
    Event* records = nullptr;
};

struct Graph
{
    std::vector<Op> ops;
};

struct Stream
{
    std::deque<Op> queue;
    bool busy = false;  // a thread runs the first op
    Graph* capture = nullptr;
    bool invalidated = false;
};

struct Event
{
    uint64_t recorded = 0;  // marks handed out
    uint64_t done = 0;  // last mark that was reached
    Stream* stream = nullptr;  // where the last mark was enqueued
    std::chrono::steady_clock::time_point time;
};

struct Context
{
    int references = 0;
};

std::mutex gMutex;
std::condition_variable gChanged;
std::map<Pointer, size_t> gDevice, gPinned;
std::set<Stream*> gStreams;
std::set<Event*> gEvents;
std::set<Graph*> gGraphs, gExecutables;
std::map<std::string, long long> gCalls;
Context gContext;
bool gInitialized = false;
size_t gUsed = 0;
Stream gLegacy;
thread_local std::vector<Context*> tContexts;

const char* setting(const char* name, const char* fallback)
{
    const char* value = std::getenv((std::string("GCPOSE_STANDIN_") + name).c_str());
    return value != nullptr && *value != 0 ? value : fallback;
}

int deviceCount() { return std::atoi(setting("DEVICES", "1")); }
size_t capacity() { return std::strtoull(setting("MEMORY", "1073741824"), nullptr, 10); }
bool eager() { return *setting("EAGER", "") != 0; }

bool inside(const std::map<Pointer, size_t>& areas, Pointer start, size_t length)
{
    auto after = areas.upper_bound(start);
    if (after == areas.begin())
    {
        return false;
    }
    const auto& [base, size] = *std::prev(after);
    return start + length <= base + size;
}

// Runs the stream until the event reached the mark, or until it is empty.
void drain(Stream* stream, std::unique_lock<std::mutex>& lock, Event* event = nullptr, uint64_t mark = 0)
{
    while (event == nullptr || event->done < mark)
    {
        if (stream->busy)
        {
            gChanged.wait(lock);
            continue;
        }
        if (stream->queue.empty())
        {
            return;
        }
        stream->busy = true;
        Op op = stream->queue.front();
        if (op.waits != nullptr)
        {
            if (gEvents.count(op.waits) != 0 && op.waits->stream != nullptr && op.waits->done < op.mark)
            {
                drain(op.waits->stream, lock, op.waits, op.mark);
            }
        }
        else if (op.records != nullptr)
        {
            if (gEvents.count(op.records) != 0)
            {
                op.records->done = op.mark;
                op.records->time = std::chrono::steady_clock::now();
            }
        }
        else
        {
            lock.unlock();  // it may call into Python, whose lock another caller of ours may hold
            op.run();
            lock.lock();
        }
        stream->queue.pop_front();
        stream->busy = false;
        gChanged.notify_all();
    }
}

void drainAll(std::unique_lock<std::mutex>& lock)
{
    for (Stream* stream : std::set<Stream*>(gStreams))
    {
        drain(stream, lock);
    }
    drain(&gLegacy, lock);
}

Stream* resolve(void* handle)
{
    const auto value = reinterpret_cast<uintptr_t>(handle);
    if (value <= 2)  // null, legacy, per-thread
    {
        return &gLegacy;
    }
    auto* stream = static_cast<Stream*>(handle);
    return gStreams.count(stream) != 0 ? stream : nullptr;
}

Result ready() { return !gInitialized ? kNotInitialized : tContexts.empty() ? kInvalidContext : kSuccess; }

Result enqueue(void* handle, Op op, std::unique_lock<std::mutex>& lock)
{
    Stream* stream = resolve(handle);
    if (stream == nullptr)
    {
        return kInvalidHandle;
    }
    if (stream->capture != nullptr)
    {
        stream->capture->ops.push_back(std::move(op));
        return kSuccess;
    }
    stream->queue.push_back(std::move(op));
    if (eager())
    {
        drain(stream, lock);
    }
    return kSuccess;
}

Result synchronizable(Stream* stream)
{
    if (stream != nullptr && stream->capture != nullptr)
    {
        stream->invalidated = true;
        return kCaptureUnsupported;
    }
    return stream == nullptr ? kInvalidHandle : kSuccess;
}
}  // namespace

#define LOCKED(name)                              \
    std::unique_lock<std::mutex> lock(gMutex);    \
    ++gCalls[name];                               \
    if (Result state = ready(); state != kSuccess) \
    return state

// ---------------------------------------------------------------------------------------------- driver and devices

EXPORT Result cuInit(unsigned)
{
    std::unique_lock<std::mutex> lock(gMutex);
    gInitialized = deviceCount() > 0;
    return gInitialized ? kSuccess : kNoDevice;
}

EXPORT Result cuDriverGetVersion(int* version)
{
    *version = 13000;
    return kSuccess;
}

EXPORT Result cuDeviceGetCount(int* count)
{
    *count = deviceCount();
    return gInitialized ? kSuccess : kNotInitialized;
}

EXPORT Result cuDeviceGet(int* device, int index)
{
    *device = index;
    return index >= 0 && index < deviceCount() ? kSuccess : kInvalidDevice;
}

EXPORT Result cuDeviceGetName(char* name, int length, int)
{
    std::strncpy(name, setting("NAME", "Stand-in GPU (host memory)"), length);
    return kSuccess;
}

EXPORT Result cuDeviceGetAttribute(int* value, int attribute, int)
{
    const std::string capability = setting("COMPUTE_CAPABILITY", "9.0");
    const size_t dot = capability.find('.');
    *value = attribute == 75   ? std::atoi(capability.c_str())
             : attribute == 76 ? std::atoi(capability.c_str() + dot + 1)
                               : 0;
    return kSuccess;
}

EXPORT Result cuDeviceComputeCapability(int* major, int* minor, int device)
{
    cuDeviceGetAttribute(major, 75, device);
    return cuDeviceGetAttribute(minor, 76, device);
}

EXPORT Result cuDeviceTotalMem_v2(size_t* size, int)
{
    *size = capacity();
    return kSuccess;
}

EXPORT Result cuGetErrorString(Result code, const char** text)
{
    static const std::map<Result, const char*> texts{{kSuccess, "no error"}, {kInvalidValue, "invalid argument"},
        {kOutOfMemory, "out of memory"}, {kNotInitialized, "initialization error"},
        {kNoDevice, "no CUDA-capable device is detected"}, {kInvalidDevice, "invalid device ordinal"},
        {kInvalidContext, "invalid device context"}, {kInvalidHandle, "invalid resource handle"},
        {kNotFound, "named symbol not found"},
        {kCaptureUnsupported, "operation not permitted when stream is capturing"},
        {kCaptureInvalidated, "operation failed due to a previous error during capture"}};
    const auto found = texts.find(code);
    *text = found == texts.end() ? nullptr : found->second;
    return found == texts.end() ? kInvalidValue : kSuccess;
}

EXPORT Result cuGetErrorName(Result code, const char** text) { return cuGetErrorString(code, text); }

// ------------------------------------------------------------------------------------------------------- contexts

EXPORT Result cuDevicePrimaryCtxRetain(void** context, int)
{
    std::unique_lock<std::mutex> lock(gMutex);
    if (!gInitialized)
    {
        return kNotInitialized;
    }
    ++gContext.references;
    *context = &gContext;
    return kSuccess;
}

EXPORT Result cuDevicePrimaryCtxRelease_v2(int)
{
    std::unique_lock<std::mutex> lock(gMutex);
    return --gContext.references >= 0 ? kSuccess : kInvalidContext;
}

EXPORT Result cuCtxPushCurrent_v2(void* context)
{
    if (context != &gContext || gContext.references == 0)
    {
        return kInvalidContext;
    }
    tContexts.push_back(&gContext);
    return kSuccess;
}

EXPORT Result cuCtxPopCurrent_v2(void** context)
{
    if (tContexts.empty())
    {
        return kInvalidContext;
    }
    if (context != nullptr)
    {
        *context = tContexts.back();
    }
    tContexts.pop_back();
    return kSuccess;
}

EXPORT Result cuCtxGetCurrent(void** context)
{
    *context = tContexts.empty() ? nullptr : tContexts.back();
    return kSuccess;
}

EXPORT Result cuCtxSynchronize()
{
    LOCKED("cuCtxSynchronize");
    for (Stream* stream : gStreams)
    {
        if (Result state = synchronizable(stream); state != kSuccess)
        {
            return state;
        }
    }
    drainAll(lock);
    return kSuccess;
}

// --------------------------------------------------------------------------------------------------------- memory

EXPORT Result cuMemGetInfo_v2(size_t* free, size_t* total)
{
    LOCKED("cuMemGetInfo");
    *total = capacity();
    *free = *total - gUsed;
    return kSuccess;
}

EXPORT Result cuMemAlloc_v2(Pointer* address, size_t size)
{
    LOCKED("cuMemAlloc");
    void* memory = nullptr;
    if (size == 0)
    {
        return kInvalidValue;
    }
    if (size > capacity() - gUsed || posix_memalign(&memory, 256, size) != 0)
    {
        return kOutOfMemory;
    }
    std::memset(memory, 0xFF, size);  // NaN as floating point, far out of range as an index
    gUsed += size;
    *address = reinterpret_cast<Pointer>(memory);
    gDevice[*address] = size;
    return kSuccess;
}

EXPORT Result cuMemFree_v2(Pointer address)
{
    LOCKED("cuMemFree");
    drainAll(lock);
    const auto found = gDevice.find(address);
    if (found == gDevice.end())
    {
        return kInvalidValue;
    }
    gUsed -= found->second;
    gDevice.erase(found);
    std::free(reinterpret_cast<void*>(address));
    return kSuccess;
}

EXPORT Result cuMemHostAlloc(void** memory, size_t size, unsigned)
{
    LOCKED("cuMemHostAlloc");
    if (posix_memalign(memory, 4096, size) != 0)
    {
        return kOutOfMemory;
    }
    std::memset(*memory, 0xFF, size);
    gPinned[reinterpret_cast<Pointer>(*memory)] = size;
    return kSuccess;
}

EXPORT Result cuMemFreeHost(void* memory)
{
    LOCKED("cuMemFreeHost");
    drainAll(lock);
    if (gPinned.erase(reinterpret_cast<Pointer>(memory)) == 0)
    {
        return kInvalidValue;
    }
    std::free(memory);
    return kSuccess;
}

EXPORT Result cuMemcpyHtoDAsync_v2(Pointer target, const void* source, size_t size, void* stream)
{
    LOCKED("cuMemcpyHtoDAsync");
    if (!inside(gDevice, target, size) || !inside(gPinned, reinterpret_cast<Pointer>(source), size))
    {
        return kInvalidValue;
    }
    return enqueue(stream, Op{[=] { std::memcpy(reinterpret_cast<void*>(target), source, size); }}, lock);
}

EXPORT Result cuMemcpyDtoHAsync_v2(void* target, Pointer source, size_t size, void* stream)
{
    LOCKED("cuMemcpyDtoHAsync");
    if (!inside(gDevice, source, size) || !inside(gPinned, reinterpret_cast<Pointer>(target), size))
    {
        return kInvalidValue;
    }
    return enqueue(stream, Op{[=] { std::memcpy(target, reinterpret_cast<void*>(source), size); }}, lock);
}

EXPORT Result cuMemsetD8Async(Pointer target, unsigned char value, size_t size, void* stream)
{
    LOCKED("cuMemsetD8Async");
    if (!inside(gDevice, target, size))
    {
        return kInvalidValue;
    }
    return enqueue(stream, Op{[=] { std::memset(reinterpret_cast<void*>(target), value, size); }}, lock);
}

// --------------------------------------------------------------------------------------------- streams and events

EXPORT Result cuStreamCreate(void** stream, unsigned)
{
    LOCKED("cuStreamCreate");
    *stream = *gStreams.insert(new Stream).first;
    return kSuccess;
}

EXPORT Result cuStreamDestroy_v2(void* handle)
{
    LOCKED("cuStreamDestroy");
    auto* stream = static_cast<Stream*>(handle);
    if (gStreams.count(stream) == 0)
    {
        return kInvalidHandle;
    }
    drain(stream, lock);
    gStreams.erase(stream);
    delete stream;
    return kSuccess;
}

EXPORT Result cuStreamSynchronize(void* handle)
{
    LOCKED("cuStreamSynchronize");
    Stream* stream = resolve(handle);
    if (Result state = synchronizable(stream); state != kSuccess)
    {
        return state;
    }
    drain(stream, lock);
    return kSuccess;
}

EXPORT Result cuStreamWaitEvent(void* stream, void* handle, unsigned)
{
    LOCKED("cuStreamWaitEvent");
    auto* event = static_cast<Event*>(handle);
    if (gEvents.count(event) == 0)
    {
        return kInvalidHandle;
    }
    Op op;
    op.waits = event;
    op.mark = event->recorded;
    return enqueue(stream, op, lock);
}

EXPORT Result cuLaunchHostFunc(void* stream, void (*function)(void*), void* data)
{
    LOCKED("cuLaunchHostFunc");
    return enqueue(stream, Op{[=] { function(data); }}, lock);
}

EXPORT Result cuEventCreate(void** event, unsigned)
{
    LOCKED("cuEventCreate");
    *event = *gEvents.insert(new Event).first;
    return kSuccess;
}

EXPORT Result cuEventDestroy_v2(void* handle)
{
    LOCKED("cuEventDestroy");
    auto* event = static_cast<Event*>(handle);
    if (gEvents.count(event) == 0)
    {
        return kInvalidHandle;
    }
    if (event->stream != nullptr)  // those who wait for it must see it happen
    {
        drain(event->stream, lock, event, event->recorded);
    }
    gEvents.erase(event);
    delete event;
    return kSuccess;
}

EXPORT Result cuEventRecord(void* handle, void* stream)
{
    LOCKED("cuEventRecord");
    auto* event = static_cast<Event*>(handle);
    Stream* where = resolve(stream);
    if (gEvents.count(event) == 0 || where == nullptr)
    {
        return kInvalidHandle;
    }
    Op op;
    op.records = event;
    op.mark = ++event->recorded;
    event->stream = where;
    return enqueue(stream, op, lock);
}

EXPORT Result cuEventSynchronize(void* handle)
{
    LOCKED("cuEventSynchronize");
    auto* event = static_cast<Event*>(handle);
    if (gEvents.count(event) == 0)
    {
        return kInvalidHandle;
    }
    if (event->stream != nullptr)
    {
        drain(event->stream, lock, event, event->recorded);
    }
    return kSuccess;
}

EXPORT Result cuEventElapsedTime_v2(float* milliseconds, void* start, void* end)
{
    LOCKED("cuEventElapsedTime");
    const auto* first = static_cast<Event*>(start);
    const auto* last = static_cast<Event*>(end);
    if (first->done < first->recorded || last->done < last->recorded)
    {
        return 600;  // CUDA_ERROR_NOT_READY
    }
    *milliseconds = std::chrono::duration<float, std::milli>(last->time - first->time).count();
    return kSuccess;
}

EXPORT Result cuEventElapsedTime(float* milliseconds, void* start, void* end)
{
    return cuEventElapsedTime_v2(milliseconds, start, end);
}

// --------------------------------------------------------------------------------------------------------- graphs

EXPORT Result cuStreamBeginCapture_v2(void* handle, int)
{
    LOCKED("cuStreamBeginCapture");
    Stream* stream = resolve(handle);
    if (stream == nullptr || stream == &gLegacy || stream->capture != nullptr)
    {
        return kCaptureUnsupported;
    }
    stream->capture = *gGraphs.insert(new Graph).first;
    stream->invalidated = std::string(setting("CAPTURE", "")) == "refuse";
    return kSuccess;
}

EXPORT Result cuStreamEndCapture(void* handle, void** graph)
{
    LOCKED("cuStreamEndCapture");
    Stream* stream = resolve(handle);
    *graph = nullptr;
    if (stream == nullptr || stream->capture == nullptr)
    {
        return kInvalidValue;
    }
    Graph* captured = stream->capture;
    stream->capture = nullptr;
    if (stream->invalidated)
    {
        gGraphs.erase(captured);
        delete captured;
        return kCaptureInvalidated;
    }
    *graph = captured;
    return kSuccess;
}

EXPORT Result cuStreamIsCapturing(void* handle, int* status)
{
    LOCKED("cuStreamIsCapturing");
    const Stream* stream = resolve(handle);
    *status = stream != nullptr && stream->capture != nullptr ? 1 : 0;
    return kSuccess;
}

EXPORT Result cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long)
{
    LOCKED("cuGraphInstantiate");
    auto* source = static_cast<Graph*>(graph);
    if (gGraphs.count(source) == 0)
    {
        return kInvalidHandle;
    }
    *executable = *gExecutables.insert(new Graph(*source)).first;
    return kSuccess;
}

EXPORT Result cuGraphInstantiate(void** executable, void* graph, unsigned long long flags)
{
    return cuGraphInstantiateWithFlags(executable, graph, flags);
}

EXPORT Result cuGraphDestroy(void* graph)
{
    LOCKED("cuGraphDestroy");
    if (gGraphs.erase(static_cast<Graph*>(graph)) == 0)
    {
        return kInvalidHandle;
    }
    delete static_cast<Graph*>(graph);
    return kSuccess;
}

EXPORT Result cuGraphExecDestroy(void* executable)
{
    LOCKED("cuGraphExecDestroy");
    if (gExecutables.erase(static_cast<Graph*>(executable)) == 0)
    {
        return kInvalidHandle;
    }
    delete static_cast<Graph*>(executable);
    return kSuccess;
}

EXPORT Result cuGraphLaunch(void* executable, void* stream)
{
    LOCKED("cuGraphLaunch");
    const auto* graph = static_cast<Graph*>(executable);
    if (gExecutables.count(const_cast<Graph*>(graph)) == 0)
    {
        return kInvalidHandle;
    }
    for (const Op& op : graph->ops)
    {
        if (Result state = enqueue(stream, op, lock); state != kSuccess)
        {
            return state;
        }
    }
    return kSuccess;
}

// ---------------------------------------------------------------------------------------- lookup, and for the tests

EXPORT Result cuGetProcAddress_v2(const char* symbol, void** function, int, uint64_t, int* status)
{
    // NVIDIA's hands out the newest version of a name that the caller's CUDA knows; only these have versions here.
    Dl_info here{};
    dladdr(reinterpret_cast<void*>(&cuInit), &here);
    void* self = dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    *function = nullptr;
    for (const char* suffix : {"_v2", ""})
    {
        if (*function == nullptr)
        {
            *function = dlsym(self, (std::string(symbol) + suffix).c_str());
        }
    }
    if (status != nullptr)
    {
        *status = *function != nullptr ? 0 : 1;
    }
    dlclose(self);
    return *function != nullptr ? kSuccess : kNotFound;
}

EXPORT Result cuGetProcAddress(const char* symbol, void** function, int version, uint64_t flags)
{
    return cuGetProcAddress_v2(symbol, function, version, flags, nullptr);
}

// How many of something are alive ("device", "pinned", "bytes", "streams", "events", "graphs", "contexts", "pushed" in
// this thread), or how often a function was called.
EXPORT long long gcpose_standin_count(const char* what)
{
    std::unique_lock<std::mutex> lock(gMutex);
    const std::map<std::string, size_t> live{{"device", gDevice.size()}, {"pinned", gPinned.size()}, {"bytes", gUsed},
        {"streams", gStreams.size()}, {"events", gEvents.size()}, {"graphs", gGraphs.size() + gExecutables.size()},
        {"contexts", static_cast<size_t>(gContext.references)}, {"pushed", tContexts.size()}};
    const auto found = live.find(what);
    return found != live.end() ? static_cast<long long>(found->second) : gCalls[what];
}
