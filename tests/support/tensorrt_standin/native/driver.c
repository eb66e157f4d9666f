/* Stand-in for the few entries of libcuda.so.1 that describe a GPU. NOT a driver: it runs nothing.
 *
 * GPU_NAME, MAJOR, MINOR, MEMORY (bytes), INTEGRATED, INIT (what cuInit returns).
 */
#include <stddef.h>
#include <string.h>

#ifndef GPU_NAME
#define GPU_NAME "Stand-in GPU"
#define MAJOR 8
#define MINOR 7
#define MEMORY 34359738368ull
#define INTEGRATED 0
#define INIT 0
#endif

int cuInit(unsigned flags) {
    return INIT;
}
int cuDeviceGetCount(int* count) {
    *count = 1;
    return 0;
}
int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return 0;
}
int cuDeviceGetName(char* name, int length, int device) {
    strncpy(name, GPU_NAME, length);
    return 0;
}
int cuDeviceGetAttribute(int* value, int attribute, int device) {
    *value = attribute == 75 ? MAJOR : attribute == 76 ? MINOR : attribute == 18 ? INTEGRATED : 0;
    return 0;
}
int cuDriverGetVersion(int* version) {
    *version = 12060;
    return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    *bytes = MEMORY;
    return 0;
}
int cuDeviceGetPCIBusId(char* id, int length, int device) {
    strncpy(id, "0000:00:00.0", length);
    return 0;
}
