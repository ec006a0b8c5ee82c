# rmt_model_engines(<target> <folder> <rows> <class>...): target that compiles tests/models/engine.bpf.c once for each class
# kind_trees_depth_nodes_slots_derived_outputs into <folder>.
set(RMT_ENGINE_SOURCE ${CMAKE_CURRENT_LIST_DIR}/engine.bpf.c)
function(rmt_model_engines target folder rows)
    file(MAKE_DIRECTORY ${folder})
    set(objects "")
    foreach(class ${ARGN})
        string(REPLACE "_" ";" parts ${class})
        list(GET parts 0 kind)
        string(TOUPPER ${kind} kind)
        list(GET parts 1 trees)
        list(GET parts 2 depth)
        list(GET parts 3 nodes)
        list(GET parts 4 slots)
        list(GET parts 5 derived)
        list(GET parts 6 outputs)
        set(object ${folder}/engine_${class}.bpf.o)
        add_custom_command(OUTPUT ${object}
            COMMAND ${RMT_BPF_CLANG} -target bpf -mcpu=v4 -O2 -g -Wall -DKIND=RMT_MODEL_${kind} -DTREES=${trees} -DDEPTH=${depth}
                    -DNODES=${nodes} -DSLOTS=${slots} -DDERIVED=${derived} -DOUTPUTS=${outputs} -DROWS=${rows}
                    -I${PROJECT_SOURCE_DIR}/bpf/include -I${PROJECT_SOURCE_DIR}/vmlinux -c ${RMT_ENGINE_SOURCE} -o ${object}
            DEPENDS ${RMT_ENGINE_SOURCE} ${PROJECT_SOURCE_DIR}/bpf/include/rmt/model.bpf.h
                    ${PROJECT_SOURCE_DIR}/bpf/include/rmt/model_layout.h ${PROJECT_SOURCE_DIR}/bpf/include/rmt/loop.bpf.h ${PROJECT_SOURCE_DIR}/bpf/include/rmt/intf.h
                    ${PROJECT_SOURCE_DIR}/vmlinux/vmlinux_rmt.h
            COMMENT "BPF engine ${class}" VERBATIM)
        list(APPEND objects ${object})
    endforeach()
    add_custom_target(${target} DEPENDS ${objects})
endfunction()
