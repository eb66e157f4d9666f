/* Stand-in for our plugin library on TensorRT 8.5: registers four names with the stand-in registry. */
#include <stdint.h>

typedef struct {
    int32_t (*add)(char const* name);
} Registry;

int32_t gcpose_register_creators(void* registry) {
    char const* const names[] = {"MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode"};
    int32_t registered = 0;
    for (int32_t index = 0; index < 4; ++index) {
        registered += ((Registry*)registry)->add(names[index]);
    }
    return registered;
}
