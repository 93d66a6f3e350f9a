/* The host program against which the suite `start` measures. */
int main(void) { return 0; }
