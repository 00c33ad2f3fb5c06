#include "sim/orchard_sim.h"

int main(int argc, char** argv) { return orchard::sim::Main({argv + 1, argv + argc}); }
