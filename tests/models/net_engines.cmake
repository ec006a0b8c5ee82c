# rmt_net_engines(<target> <folder> <class>...): target that compiles tests/models/net_engine.bpf.c once for each class
# inputs_tiles_rows_blocks_width_outputs into <folder>.
set(RMT_NET_ENGINE_SOURCE ${CMAKE_CURRENT_LIST_DIR}/net_engine.bpf.c)
function(rmt_net_engines target folder)
    file(MAKE_DIRECTORY ${folder})
    set(objects "")
    foreach(class ${ARGN})
        string(REPLACE "_" ";" parts ${class})
        set(defines "")
        foreach(name INPUTS TILES ROWS BLOCKS WIDTH OUTPUTS)
            list(POP_FRONT parts part)
            list(APPEND defines -D${name}=${part})
        endforeach()
        set(object ${folder}/net_${class}.bpf.o)
        add_custom_command(OUTPUT ${object}
            COMMAND ${RMT_BPF_CLANG} -target bpf -mcpu=v4 -O2 -g -Wall ${defines}
                    -I${PROJECT_SOURCE_DIR}/bpf/include -I${PROJECT_SOURCE_DIR}/vmlinux -c ${RMT_NET_ENGINE_SOURCE} -o ${object}
            DEPENDS ${RMT_NET_ENGINE_SOURCE} ${PROJECT_SOURCE_DIR}/bpf/include/rmt/net.bpf.h
                    ${PROJECT_SOURCE_DIR}/bpf/include/rmt/net_layout.h ${PROJECT_SOURCE_DIR}/bpf/include/rmt/model.bpf.h
                    ${PROJECT_SOURCE_DIR}/bpf/include/rmt/intf.h ${PROJECT_SOURCE_DIR}/vmlinux/vmlinux_rmt.h
            COMMENT "BPF net engine ${class}" VERBATIM)
        list(APPEND objects ${object})
    endforeach()
    add_custom_target(${target} DEPENDS ${objects})
endfunction()
