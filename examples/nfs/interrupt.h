/* SPDX-License-Identifier: MIT */
/* What is to be left in order when the program is interrupted is brought to its end by calls that
 * are cancelled, and not by a signal handler. */
#ifndef NFS_INTERRUPT_H
#define NFS_INTERRUPT_H

#include <dari/dari.h>

/* From here on the first SIGINT, SIGTERM or SIGHUP, unless it is ignored, cancels the calls that
 * have the cancel of this; a second one ends the program as it would have. Returns the cancel,
 * which lasts as long as the program; or NULL, where none can be made and nothing has changed. */
dari_cancel *interrupt_begin(void);
/* Ends the program by the signal that interrupted it, if one has. */
void interrupt_end(void);

#endif
