// FileStation: stations whose parameters and messages are on disk, and whose rings come back.
//
// Such a station is there when its station.conf is. Its rings are memory: after a reboot whoever
// opens it first makes them anew, each beginning behind what its log holds. Faults name what is
// wrong on disk.
#pragma once

#include <string>

#include "shm/directory.h"
#include "shm/edit.h"
#include "station_conf.h"

namespace loopline::io {

// From now on `directory` lets rings of file stations begin behind their logs in `data`.
void keep_on_disk(shm::Directory& directory, const std::string& data);

// Makes the station, on disk and in memory. Its conf gets a uuid. Faults: already_exists,
// invalid_argument, corrupted (messages of that name have lost their conf: they are not
// overwritten), no_space, no_permission, and those of the disk.
Status create_file_station(const shm::Directory& directory, const std::string& data,
                           const shm::StationName& name, StationConf conf);
// Makes the rings of a station that is on disk only. False: it is not on disk.
Result<bool> revive_station(const shm::Directory& directory, const std::string& data,
                            const shm::StationName& name);
// Whether messages lie there that no station.conf names, and nobody was removing them.
bool has_lost_conf(const std::string& data, const shm::StationName& name);
// What to say of a station that has no station.conf and is on disk all the same: what is missing,
// and the lines that bring it back. `ring`: the header of one that lives, if one does.
Fault conf_missing(const std::string& data, const shm::StationName& name,
                   const shm::RingHeader* ring);
// Ends it, in memory and on disk, wherever it is. Dying in between leaves less of it: it is done
// again. Faults: not_found, and those of Directory::remove_station (then nothing has changed).
Status remove_station_everywhere(const shm::Directory& directory, const std::string& data,
                                 const shm::StationName& name);

// Messages up to now are gone for whoever reads later, in memory and on disk, once this answers; if
// it was interrupted they are all there, or all gone, partition by partition. Whoever flushes the
// station gives their room on disk back. Faults: not_found, those of shm::purge_station and of
// writing to the logs' folders.
Result<shm::StationChange> purge_file_station(const shm::Directory& directory,
                                              const std::string& data,
                                              const shm::StationName& name);

}  // namespace loopline::io
