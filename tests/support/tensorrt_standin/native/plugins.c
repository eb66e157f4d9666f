/* Stand-in for our plugin library: names creators, makes none. NOT the plugin library.
 *
 * CREATORS: the names, separated by blanks. V2: export what TensorRT 8 looks for, else what 10 and later look for.
 */
#include <stdint.h>
#include <string.h>

#ifndef CREATORS
#define CREATORS "MultiLevelRoiAlign GcmAttention Nms KeypointDecode"
#endif

typedef struct {
    int32_t (*add)(char const* name);
} Registry;

char const* standin_creators(void) {
    return CREATORS;
}

#ifdef V2
void* getPluginCreators(int32_t* count) {
    *count = 0;
    return 0;
}

/* TensorRT 8.5 cannot load libraries: the library registers itself, in the registry that nvinfer.c stands in for. */
int32_t gcpose_register_creators(void* registry) {
    static char text[256];
    int32_t registered = 0;
    strncpy(text, CREATORS, sizeof text - 1);
    for (char* name = strtok(text, " "); name != 0; name = strtok(0, " ")) {
        registered += ((Registry*)registry)->add(name);
    }
    return registered;
}

char const* gcpose_build_info(void) {
    return "{\"version\": \"0\", \"interface\": \"v2\", \"cpu\": false}";
}
#else
void* getCreators(int32_t* count) {
    *count = 0;
    return 0;
}

char const* gcpose_build_info(void) {
    return "{\"version\": \"0\", \"interface\": \"v3\", \"cpu\": false}";
}
#endif
