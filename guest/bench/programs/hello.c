/* The program whose whole life the suite `start` measures. */
#include <stdio.h>

int main(void) { return puts("hello") < 0; }
