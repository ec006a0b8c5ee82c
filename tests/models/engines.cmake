# rmt_model_engines(<target> <folder> <class>...): target that compiles tests/models/engine.bpf.c once for each class
# trees_depth_nodes into <folder>.
set(RMT_ENGINE_SOURCE ${CMAKE_CURRENT_LIST_DIR}/engine.bpf.c)
function(rmt_model_engines target folder)
    file(MAKE_DIRECTORY ${folder})
    set(objects "")
    foreach(class ${ARGN})
        string(REPLACE "_" ";" parts ${class})
        list(GET parts 0 trees)
        list(GET parts 1 depth)
        list(GET parts 2 nodes)
        set(object ${folder}/engine_${class}.bpf.o)
        add_custom_command(OUTPUT ${object}
            COMMAND ${RMT_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -DTREES=${trees} -DDEPTH=${depth} -DNODES=${nodes}
                    -I${PROJECT_SOURCE_DIR}/bpf/include -I${PROJECT_SOURCE_DIR}/vmlinux -c ${RMT_ENGINE_SOURCE} -o ${object}
            DEPENDS ${RMT_ENGINE_SOURCE} ${PROJECT_SOURCE_DIR}/bpf/include/rmt/model.bpf.h
                    ${PROJECT_SOURCE_DIR}/bpf/include/rmt/model_layout.h ${PROJECT_SOURCE_DIR}/bpf/include/rmt/intf.h
                    ${PROJECT_SOURCE_DIR}/vmlinux/vmlinux_rmt.h
            COMMENT "BPF engine ${class}" VERBATIM)
        list(APPEND objects ${object})
    endforeach()
    add_custom_target(${target} DEPENDS ${objects})
endfunction()
