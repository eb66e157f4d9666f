/* Stand-in for the part of TensorRT 8.5's libnvinfer.so.8 that registers plugin creators through C. NOT TensorRT. */
#include <stdint.h>

typedef struct {
    int32_t (*add)(char const* name);
} Registry;

static char const* names[16];
static int32_t count = 0;

static int32_t add(char const* name) {
    if (count == 16) {
        return 0;
    }
    names[count++] = name;
    return 1;
}

static Registry registry = {add};

void* getPluginRegistry(void) {
    return &registry;
}

int32_t standin_creator_count(void) {
    return count;
}

char const* standin_creator(int32_t index) {
    return names[index];
}
