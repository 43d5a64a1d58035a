# SPDX-License-Identifier: MIT
# The call that is measured, for Cap'n Proto.
@0xd1a5bb0ce9f2a4c7;

interface Calls {
  nothing @0 ();
}
